# `cmake --install`: the program, the headers that emitted code may share, and the package that find_package(tusk) reads.
include(CMakePackageConfigHelpers)

set(package_dir lib/cmake/tusk)
configure_package_config_file(cmake/tuskConfig.cmake.in ${PROJECT_BINARY_DIR}/tuskConfig.cmake
  INSTALL_DESTINATION ${package_dir})
# A program for another machine takes the compiler of this one.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tuskConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

if(TARGET tusk)
  install(TARGETS tusk EXPORT tuskTargets RUNTIME DESTINATION bin)
  install(EXPORT tuskTargets NAMESPACE tusk:: DESTINATION ${package_dir})
  install(FILES ${PROJECT_BINARY_DIR}/tuskConfig.cmake ${PROJECT_BINARY_DIR}/tuskConfigVersion.cmake
    cmake/TuskAddModel.cmake DESTINATION ${package_dir})
  install(DIRECTORY runtime/ DESTINATION include/tusk/runtime FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
  install(FILES LICENSE DESTINATION share/doc/tusk)
endif()
if(TARGET tusk AND TARGET tusk_mlir)
  install(TARGETS tusk_mlir LIBRARY DESTINATION lib/tusk)
endif()
