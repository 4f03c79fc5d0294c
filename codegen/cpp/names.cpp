#include "codegen/cpp/names.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstdint>

namespace tusk::cpp {
namespace {

// One character of UTF-8 text, or one byte that is none.
struct Character {
  std::string_view bytes;
  std::uint32_t code = 0;
  bool valid = false;
};

Character next_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return {text.substr(0, 1), lead, false};
  std::uint32_t code = length == 1 ? lead : lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {text.substr(0, 1), lead, false};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  // Overlong forms, halves of surrogate pairs, beyond Unicode.
  const bool bad = (length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10ffff)) ||
                   (code >= 0xd800 && code < 0xe000);
  if (bad) return {text.substr(0, 1), lead, false};
  return {text.substr(0, length), code, true};
}

template <class F>
void for_each_character(std::string_view text, const F& visit) {
  while (!text.empty()) {
    const Character c = next_character(text);
    visit(c);
    text.remove_prefix(c.bytes.size());
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

// Keywords of C99 to C23 and C++ to C++23, then names that common headers, GNU modes or Arduino and Windows define as
// macros, then names that the emitted code uses itself. Names of capitals alone need no entry.
constexpr std::string_view kReserved =
    " alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor bool break case "
    "catch"
    " char char16_t char32_t char8_t class co_await co_return co_yield compl concept const const_cast consteval "
    "constexpr"
    " constinit continue decltype default delete do double dynamic_cast else enum explicit export extern false final "
    "float"
    " for friend goto if import inline int long module mutable namespace new noexcept not not_eq nullptr operator or "
    "or_eq"
    " override private protected public reflexpr register reinterpret_cast requires restrict return short signed sizeof"
    " static static_assert static_cast struct switch synchronized template this thread_local throw true try typedef "
    "typeid"
    " typename typeof typeof_unqual union unsigned using virtual void volatile wchar_t while xor xor_eq"
    " assert bit complex errno far fpclassify huge i386 imaginary interface isfinite isgreater isgreaterequal isinf "
    "isless"
    " islessequal islessgreater isnan isnormal isunordered kill_dependency linux major main makedev max min minor near"
    " noreturn offsetof round setjmp signbit small stderr stdin stdout unix va_arg va_copy va_end va_start"
    " div_t int16_t int32_t int64_t int8_t intmax_t intptr_t ldiv_t lldiv_t max_align_t nullptr_t ptrdiff_t size_t "
    "ssize_t uint16_t uint32_t uint64_t uint8_t uintmax_t uintptr_t va_list wint_t alloca"
    " std tusk ";

// Names of the C library and of POSIX at global scope, which a namespace or a C function may not share, and targets
// that CMake keeps for itself.
constexpr std::string_view kGlobal =
    " abort abs accept access acos acosh alarm asctime asin asinh atan atan2 atanh atexit atof atoi atol atoll "
    "basename bcmp"
    " bcopy bind bsearch bzero calloc cbrt ceil chdir chmod chown clearenv clock close closedir connect copysign cos "
    "cosh"
    " creat ctime daemon difftime dirname div dprintf drem dup dup2 dysize environ erf erfc exec execl execv execve "
    "exit exp"
    " exp10 exp2 expm1 fabs fclose fdim feof ferror fflush ffs fgetc fgets fileno finite floor flock fma fmax fmin "
    "fmod fopen"
    " fork fprintf fputc fputs fread free freopen frexp fscanf fseek ftell ftok ftw fwrite gamma getc getchar getenv "
    "getline"
    " getopt getpid gets getuid glob gmtime gnu_dev_major htonl htons hypot ilogb index initgroups initstate ioctl "
    "isalnum"
    " isalpha isascii isatty isblank iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit j0 j1 jn "
    "kill"
    " labs ldexp ldiv lgamma link listen llabs lldiv llrint llround localtime lockf log log10 log1p log2 logb longjmp "
    "lrint"
    " lround lseek malloc mblen mbtowc memchr memcmp memcpy memmove memset mkdir mknod mkstemp mktemp mktime mlock "
    "mmap modf"
    " mount munmap nan nearbyint nextafter nice ntohl ntohs open opendir optarg optind pause perror pipe poll popen pow"
    " printf putc putchar putenv puts qsort raise rand random read readdir readlink realloc realpath recv remainder "
    "remove"
    " remquo rename rewind rindex rint rmdir round scalb scalbn scanf seed select send setbuf setenv setlocale setvbuf"
    " shutdown sigaction signal significand sin sinh sleep snprintf socket sprintf sqrt srand srandom sscanf stat stime"
    " strcat strchr strcmp strcpy strcspn strdup strerror strlen strncmp strncpy strpbrk strrchr strspn strstr strtod "
    "strtol"
    " strtok swab symlink sync syscall sysconf system tan tanh tempnam tgamma time timegm times timezone tmpfile tmpnam"
    " toascii tolower toupper trunc truncate tzname tzset umask umount uname ungetc unlink usleep utime vfork vprintf "
    "wait"
    " waitpid wcslen write y0 y1 yn daylight stdin signgam"
    " all clean depend edit_cache help install list_install_components none package package_source preinstall "
    "rebuild_cache"
    " test"
    " tusk_runtime tusk_threads tusk_thread_pool"
    // Headers, which NAME.h would hide.
    " complex ctype dirent dlfcn endian error fcntl features fenv float glob grp immintrin inttypes iso646 langinfo "
    "libgen limits"
    " locale malloc math memory monetary netdb omp paths poll pthread pwd regex sched semaphore setjmp signal "
    "stdalign stdarg"
    " stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string strings syslog tar termios "
    "tgmath"
    " threads time uchar ulimit unistd utime utmpx values wchar wctype wordexp arm_neon ";

bool listed(std::string_view list, std::string_view name) {
  return list.find(fmt::format(" {} ", name)) != std::string_view::npos;
}

// True for characters that a reader or an editor takes for the end of a line or that change the direction of text.
bool is_treacherous(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

}  // namespace

std::string identifier(std::string_view text) {
  std::string out;
  const auto separate = [&out] {
    if (!out.empty() && out.back() != '_') out += '_';
  };
  for_each_character(text, [&](const Character& c) {
    const char byte = c.bytes[0];
    if (is_digit(byte) || is_lower(byte) || is_upper(byte)) {
      out += byte;
    } else if (c.valid && c.code < 0x80) {
      separate();
    } else {
      separate();
      out += fmt::format("{}_", c.valid ? fmt::format("u{:04x}", c.code) : fmt::format("x{:02x}", c.code));
    }
  });
  while (!out.empty() && out.back() == '_') out.pop_back();
  if (out.empty()) return "unnamed";
  if (is_digit(out[0])) out.insert(out.begin(), 'n');
  if (listed(kReserved, out) || std::none_of(out.begin(), out.end(), is_lower)) out += '_';
  return out;
}

std::string global_identifier(std::string_view text) {
  const std::string name = identifier(text);
  return listed(kGlobal, name) ? name + "_model" : name;
}

std::string Names::unique(std::string_view wish) {
  const std::string base = identifier(wish);
  std::string name = base;
  const std::string_view joint = base.back() == '_' ? "" : "_";
  for (int i = 2; !taken_.insert(name).second; ++i) name = fmt::format("{}{}{}", base, joint, i);
  return name;
}

std::string comment_text(std::string_view text) {
  std::string out;
  for_each_character(text, [&out](const Character& c) {
    if (!c.valid || is_treacherous(c.code)) {
      out += fmt::format("<{:02X}>", c.code);
      return;
    }
    const char last = out.empty() ? ' ' : out.back();
    const char byte = c.bytes[0];
    if ((last == '*' && byte == '/') || (last == '/' && byte == '*') || (last == '?' && byte == '?')) out += ' ';
    out += c.bytes;
  });
  while (!out.empty() && out.back() == ' ') out.pop_back();
  if (!out.empty() && (out.back() == '\\' || out.back() == '*' || out.back() == '/' || out.back() == '?')) out += '.';
  return out;
}

std::string string_literal_text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned>(static_cast<unsigned char>(c));
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\' && c != '?') {
      out += c;
    } else {
      out += fmt::format("\\{:03o}", byte);
    }
  }
  return out;
}

std::string json_text(std::string_view text) {
  std::string out;
  for_each_character(text, [&out](const Character& c) {
    if (!c.valid) {
      out += "\xef\xbf\xbd";
    } else if (c.code == '"' || c.code == '\\') {
      out += '\\';
      out += c.bytes;
    } else if (c.code < 0x20 || c.code == 0x7f || c.code == 0x2028 || c.code == 0x2029) {
      out += fmt::format("\\u{:04x}", c.code);
    } else {
      out += c.bytes;
    }
  });
  return out;
}

}  // namespace tusk::cpp
