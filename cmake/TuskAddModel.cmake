# tusk_add_model(NAME SOURCE FILE [DIMS ...] [WEIGHTS embed|file] [MAX_ARENA SIZE] [PROFILE fma|muladd]
#   [TARGET haswell|znver4|... ...] [BACKEND cpp|mlir] [KEEP_BATCH_NORM]
#   [FUNCTIONS predict train_step ...] [OPTIMIZER O] [LEARNING_RATE R] [LOSS ...] [LOSS_WEIGHTS ...] [METRICS ...]
#   [WEIGHTED_METRICS ...] [LABELS i32[] ...] [SAMPLE_WEIGHT])
#
# Compiles a model at build time, again whenever FILE or the compiler changes; with functions that train, if they are
# asked for. Gives
#   the static library NAME, which brings NAME.hpp;
#   the test NAME.self_test, where testing is enabled;
#   with several targets: code for each, of which the compiler's flags choose;
#   with WEIGHTS file: the path of the weights as property TUSK_WEIGHTS of NAME.
# The words behind the keywords are those of `tusk compile --help`.
include_guard(GLOBAL)

function(tusk_add_model name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "KEEP_BATCH_NORM;SAMPLE_WEIGHT" "SOURCE;WEIGHTS;MAX_ARENA;PROFILE;BACKEND;OPTIMIZER;LEARNING_RATE"
    "TARGET;DIMS;FUNCTIONS;LOSS;LOSS_WEIGHTS;METRICS;WEIGHTED_METRICS;LABELS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tusk_add_model(${name}): unknown argument ${arg_UNPARSED_ARGUMENTS}")
  elseif(NOT name MATCHES "^[A-Za-z][A-Za-z0-9_]*$")
    message(FATAL_ERROR "tusk_add_model(${name}): the name becomes a C++ namespace: letters, digits and _")
  elseif(NOT arg_SOURCE)
    message(FATAL_ERROR "tusk_add_model(${name}): SOURCE is missing")
  elseif(arg_BACKEND AND NOT arg_BACKEND MATCHES "^(cpp|mlir)$")
    message(FATAL_ERROR "tusk_add_model(${name}): BACKEND is ${arg_BACKEND}, expected cpp or mlir")
  endif()
  set(with_state ${arg_FUNCTIONS})
  list(REMOVE_ITEM with_state predict input_gradients)
  if(arg_WEIGHTS STREQUAL "file" AND with_state)
    message(FATAL_ERROR "tusk_add_model(${name}): WEIGHTS file, but ${with_state} keep the weights in a State: leave it out")
  endif()
  get_filename_component(source "${arg_SOURCE}" ABSOLUTE)
  if(NOT EXISTS "${source}")
    get_property(generated SOURCE "${source}" PROPERTY GENERATED)
    if(NOT generated)
      message(FATAL_ERROR "tusk_add_model(${name}): there is no file ${source}")
    endif()
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${name}.tusk")

  set(options --name ${name})
  foreach(dim IN LISTS arg_DIMS)
    list(APPEND options --dim ${dim})
  endforeach()
  foreach(labels IN LISTS arg_LABELS)
    list(APPEND options --labels ${labels})
  endforeach()
  foreach(keyword KEEP_BATCH_NORM SAMPLE_WEIGHT)
    if(arg_${keyword})
      string(TOLOWER ${keyword} option)
      string(REPLACE "_" "-" option ${option})
      list(APPEND options --${option})
    endif()
  endforeach()
  foreach(keyword WEIGHTS MAX_ARENA PROFILE TARGET BACKEND FUNCTIONS OPTIMIZER LEARNING_RATE LOSS LOSS_WEIGHTS METRICS WEIGHTED_METRICS)
    if(DEFINED arg_${keyword})
      string(TOLOWER ${keyword} option)
      string(REPLACE "_" "-" option ${option})
      string(REPLACE ";" "," words "${arg_${keyword}}")
      list(APPEND options --${option} ${words})
    endif()
  endforeach()

  set(sources ${folder}/${name}.hpp ${folder}/${name}.h ${folder}/${name}_self_test.cpp)
  if(arg_BACKEND STREQUAL "mlir")
    list(APPEND sources ${folder}/${name}.o)
    set_source_files_properties(${folder}/${name}.o PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  else()
    list(APPEND sources ${folder}/${name}.cpp ${folder}/tusk_runtime.hpp)
  endif()
  set(self_test ${folder}/${name}_self_test_main.cpp)
  set(weights)
  if(arg_WEIGHTS STREQUAL "file")
    set(weights ${folder}/${name}.weights)
  elseif(NOT arg_BACKEND STREQUAL "mlir")
    list(LENGTH arg_TARGET targets)
    if(targets LESS 2)
      list(APPEND sources ${folder}/${name}_weights.cpp)
    elseif("native" IN_LIST arg_TARGET)
      message(FATAL_ERROR "tusk_add_model(${name}): native is one target, not one of several: name it")
    else()
      foreach(target IN LISTS arg_TARGET)
        string(REPLACE "-" "_" target ${target})
        list(APPEND sources ${folder}/${name}_weights_${target}.cpp)
      endforeach()
    endif()
  endif()
  add_custom_command(
    OUTPUT ${sources} ${self_test} ${weights}
    COMMAND tusk::tusk compile ${source} -o ${folder} ${options}
    DEPENDS ${source} $<TARGET_FILE:tusk::tusk>
    COMMENT "tusk compile ${arg_SOURCE}"
    VERBATIM)

  add_library(${name} STATIC ${sources} ${weights})
  target_include_directories(${name} PUBLIC ${folder})
  target_compile_features(${name} PUBLIC cxx_std_17)
  set_target_properties(${name} PROPERTIES TUSK_WEIGHTS "${weights}")

  if(CMAKE_TESTING_ENABLED)
    add_executable(${name}_self_test ${self_test})
    target_link_libraries(${name}_self_test PRIVATE ${name})
    add_test(NAME ${name}.self_test COMMAND ${name}_self_test ${weights})
  endif()
endfunction()
