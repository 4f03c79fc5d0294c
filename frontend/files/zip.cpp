#include "frontend/files/zip.hpp"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <new>
#include <utility>

namespace tusk {
namespace {

// Deflate cannot exceed 1032:1.
constexpr std::uint64_t kDeflateRatio = 1032;
constexpr zip_int64_t kMaxMembers = 1 << 16;
// Where the end of a directory may begin, counted from the end of the file: it closes with a comment of 16 bits'
// length.
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kEndReach = kEndSize + 0xffff;
constexpr std::size_t kMaxEnds = 16;
// 1980-01-01, the first day of the format's calendar.
constexpr zip_uint16_t kFirstDay = (1 << 5) | 1;

struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

/// How many ends of directories a reader may see: one, and those of archives inside of the last member.
std::size_t count_ends(std::span<const std::byte> bytes) {
  const std::string_view tail = text_of(bytes.last(std::min(bytes.size(), kEndReach)));
  std::size_t count = 0;
  for (std::size_t at = 0; (at = tail.find("PK\x05\x06", at)) != std::string_view::npos; ++at) ++count;
  return count;
}

std::string text_of_error(int code) {
  zip_error_t problem;
  zip_error_init_with_code(&problem, code);
  std::string text = zip_error_strerror(&problem);
  zip_error_fini(&problem);
  return text;
}

}  // namespace

struct ZipReader::Archive {
  std::shared_ptr<const Bytes> bytes;
  zip_t* zip = nullptr;
  ~Archive() {
    if (zip != nullptr) zip_discard(zip);
  }
};

bool looks_like_zip(std::span<const std::byte> bytes) {
  const std::string_view head = text_of(bytes.first(std::min<std::size_t>(bytes.size(), 4)));
  return head == "PK\x03\x04" || head == "PK\x05\x06";
}

Expected<ZipReader> ZipReader::open(const std::filesystem::path& path) {
  TRY(Bytes bytes, read_file(path));
  return from_bytes(std::make_shared<const Bytes>(std::move(bytes)), path.string());
}

Expected<ZipReader> ZipReader::from_bytes(std::shared_ptr<const Bytes> bytes, std::string name) {
  ZipReader reader;
  reader.name_ = std::move(name);
  reader.archive_ = std::make_shared<Archive>();
  reader.archive_->bytes = std::move(bytes);
  const Bytes& data = *reader.archive_->bytes;
  if (data.empty()) {
    return error("archive-format", fmt::format("{} is not an archive: the file is empty", in_quotes(reader.name_)));
  }
  if (!looks_like_zip(data)) {
    return error("archive-format", fmt::format("{} is not a ZIP archive", in_quotes(reader.name_)));
  }
  // libzip reads the directory of every end that it finds: with thousands of them it is busy for minutes.
  if (count_ends(data) > kMaxEnds) {
    return error("archive-format", fmt::format("the archive {} has too many directories", in_quotes(reader.name_)));
  }
  zip_error_t problem;
  zip_error_init(&problem);
  zip_source_t* source = zip_source_buffer_create(data.data(), data.size(), 0, &problem);
  if (source != nullptr) {
    reader.archive_->zip = zip_open_from_source(source, ZIP_RDONLY, &problem);
    if (reader.archive_->zip == nullptr) zip_source_free(source);
  }
  const int code = zip_error_code_zip(&problem);
  zip_error_fini(&problem);
  if (reader.archive_->zip == nullptr) {
    // The directory of members stands at the end, so it is what a cut loses first.
    if (code == ZIP_ER_NOZIP || code == ZIP_ER_INCONS || code == ZIP_ER_EOF) {
      return error("archive-cut",
                   fmt::format("the archive {} is cut short or damaged: no directory of members at its end",
                               in_quotes(reader.name_)));
    }
    return error("archive-format",
                 fmt::format("cannot open the archive {}: {}", in_quotes(reader.name_), text_of_error(code)));
  }
  const zip_int64_t count = zip_get_num_entries(reader.archive_->zip, 0);
  if (count > kMaxMembers) {
    return error("archive-format", fmt::format("the archive {} has {} members", in_quotes(reader.name_), count));
  }
  const std::uint64_t budget = plausible_size(data.size());
  std::uint64_t claimed = 0;
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    if (zip_stat_index(reader.archive_->zip, static_cast<zip_uint64_t>(i), 0, &stat) != 0 ||
        (stat.valid & ZIP_STAT_NAME) == 0 || (stat.valid & ZIP_STAT_SIZE) == 0 ||
        (stat.valid & ZIP_STAT_COMP_SIZE) == 0) {
      return error("archive-format", fmt::format("the archive {} has a damaged directory", in_quotes(reader.name_)));
    }
    // Two members of one name would let two readers see two different models.
    if (!reader.index_.emplace(stat.name, reader.members_.size()).second) {
      return error("archive-format",
                   fmt::format("the archive {} has two members {}", in_quotes(reader.name_), in_quotes(stat.name)));
    }
    // Members may lie on top of each other, so it is their sum that counts.
    if (stat.size > budget - claimed) {
      return error("archive-format", fmt::format("the members of the archive {} claim more than {} bytes, too many for "
                                                 "an archive of {}",
                                                 in_quotes(reader.name_), budget, data.size()))
          .note("if it is known to be good, unpack it and give the folder");
    }
    claimed += stat.size;
    reader.members_.push_back({stat.name, stat.size, stat.comp_size});
  }
  return reader;
}

Expected<Bytes> ZipReader::read(std::string_view member, std::uint64_t max_size) const {
  const auto place = index_.find(member);
  if (place == index_.end()) {
    return error("archive-member", fmt::format("{} is missing in {}", member, in_quotes(name_)));
  }
  const auto refuse = [&](std::string_view why) {
    return error("archive-member", fmt::format("cannot read {} of {}: {}", in_quotes(member), in_quotes(name_), why));
  };
  const ZipMember* found = &members_[place->second];
  const auto index = static_cast<zip_uint64_t>(place->second);
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_stat_index(archive_->zip, index, 0, &stat) != 0) return refuse("damaged directory");
  if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE) {
    return refuse("it is encrypted");
  }
  if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
    return refuse(fmt::format("compression method {} (only stored and deflated members are read)", stat.comp_method));
  }
  if (found->stored > archive_->bytes->size()) {
    return refuse(fmt::format("it claims {} bytes of an archive of {}", found->stored, archive_->bytes->size()));
  }
  if (found->size > max_size) return refuse(fmt::format("it claims {} bytes, more than {}", found->size, max_size));
  const std::uint64_t ratio = stat.comp_method == ZIP_CM_STORE ? 1 : kDeflateRatio;
  if (found->size > ratio * found->stored) {
    return refuse(fmt::format("{} bytes cannot come from {}", found->size, found->stored));
  }
  const std::unique_ptr<zip_file_t, FileCloser> file(zip_fopen_index(archive_->zip, index, 0));
  if (!file) return refuse(zip_strerror(archive_->zip));
  try {
    Bytes bytes(static_cast<std::size_t>(found->size));
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const zip_int64_t got = zip_fread(file.get(), bytes.data() + filled, bytes.size() - filled);
      if (got < 0) return refuse(zip_file_strerror(file.get()));
      if (got == 0) return refuse(fmt::format("{} bytes are there, {} are claimed", filled, bytes.size()));
      filled += static_cast<std::size_t>(got);
    }
    // The read behind the end must find nothing; it is also the one that compares the checksum.
    std::byte beyond;
    const zip_int64_t more = zip_fread(file.get(), &beyond, 1);
    if (more < 0) return refuse(zip_file_strerror(file.get()));
    if (more > 0) return refuse(fmt::format("more bytes are there than the {} that are claimed", bytes.size()));
    return bytes;
  } catch (const std::bad_alloc&) {
    return refuse(fmt::format("no memory for {} bytes", found->size));
  }
}

Expected<Bytes> zip_bytes(const std::vector<ZipEntry>& entries, ZipMethod method) {
  zip_error_t problem;
  zip_error_init(&problem);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &problem);
  zip_t* zip = target == nullptr ? nullptr : zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, &problem);
  const std::string cause = zip_error_strerror(&problem);
  zip_error_fini(&problem);
  if (zip == nullptr) {
    if (target != nullptr) zip_source_free(target);
    return error("archive-write", fmt::format("cannot make an archive: {}", cause));
  }
  zip_source_keep(target);  // zip_close would free it with the archive's bytes
  const auto fail = [&](zip_t* open) {
    const std::string why = zip_strerror(open);
    zip_discard(open);
    zip_source_free(target);
    return error("archive-write", fmt::format("cannot make an archive: {}", why));
  };
  for (const ZipEntry& entry : entries) {
    zip_source_t* source = zip_source_buffer(zip, entry.bytes.data(), entry.bytes.size(), 0);
    if (source == nullptr) return fail(zip);
    const zip_int64_t index = zip_file_add(zip, entry.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      return fail(zip);
    }
    const auto at = static_cast<zip_uint64_t>(index);
    const zip_int32_t how = method == ZipMethod::store ? ZIP_CM_STORE : ZIP_CM_DEFLATE;
    if (zip_set_file_compression(zip, at, how, 0) != 0 || zip_file_set_dostime(zip, at, 0, kFirstDay, 0) != 0) {
      return fail(zip);
    }
  }
  if (zip_close(zip) != 0) return fail(zip);
  zip_stat_t stat;
  zip_stat_init(&stat);
  Bytes bytes;
  bool read = zip_source_stat(target, &stat) == 0 && (stat.valid & ZIP_STAT_SIZE) != 0 && zip_source_open(target) == 0;
  if (read) {
    bytes.resize(static_cast<std::size_t>(stat.size));
    read = zip_source_read(target, bytes.data(), stat.size) == static_cast<zip_int64_t>(stat.size);
    zip_source_close(target);
  }
  zip_source_free(target);
  if (!read) return error("archive-write", "cannot make an archive");
  return bytes;
}

Status write_zip(const std::filesystem::path& path, const std::vector<ZipEntry>& entries, ZipMethod method) {
  TRY(const Bytes bytes, zip_bytes(entries, method));
  return write_file(path, bytes);
}

}  // namespace tusk
