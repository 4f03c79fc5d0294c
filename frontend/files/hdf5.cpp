#include "frontend/files/hdf5.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "frontend/files/hdf5_store.hpp"

namespace tusk {

using hdf5::Attribute;
using hdf5::Link;
using hdf5::Links;
using hdf5::Object;
using hdf5::Span;
using hdf5::TypeClass;

namespace {

constexpr std::size_t kMaxDepth = 200;
constexpr std::size_t kMaxObjects = 1 << 20;

}  // namespace

bool looks_like_hdf5(std::span<const std::byte> bytes) { return text_of(bytes).starts_with("\x89HDF\r\n\x1a\n"); }

Expected<Hdf5File> Hdf5File::open(const std::filesystem::path& path) {
  TRY(Bytes bytes, read_file(path));
  return from_bytes(std::move(bytes), path.string());
}

Expected<Hdf5File> Hdf5File::from_bytes(Bytes bytes, std::string name) {
  Hdf5File file;
  file.name_ = std::move(name);
  file.store_ = std::make_shared<Store>();
  Store& store = *file.store_;
  store.name = file.name_;
  store.bytes = std::move(bytes);
  store.format = hdf5::Format(store.bytes);
  const auto root = store.format.root();
  if (!root && root.problem().code == "hdf5-cut") {
    return error("hdf5-cut", fmt::format("{} is cut short: {}", in_quotes(file.name_), root.problem().message));
  }
  if (!root) {
    return error("hdf5", fmt::format("cannot read {}: {}", in_quotes(file.name_), root.problem().message));
  }
  store.root = *root;
  return file;
}

Diagnostic Hdf5File::Store::fail(std::string_view object, std::string_view why) const {
  return error("hdf5", fmt::format("cannot read {} of {}: {}", in_quotes(object), in_quotes(name), why));
}

Diagnostic Hdf5File::Store::fail(std::string_view object, const Diagnostic& why) const {
  Diagnostic problem = fail(object, why.message);
  problem.notes = why.notes;
  return problem;
}

Expected<std::uint64_t> Hdf5File::Store::target(const Link& link, std::string_view path) const {
  switch (link.kind) {
    case Link::Kind::hard:
      return link.address;
    case Link::Kind::soft:
      return fail(path, "it is a soft link; the weights of a model lie in the file itself");
    case Link::Kind::external:
      return fail(path, "it is a link to another file, which is never opened");
    case Link::Kind::other:
      break;
  }
  return fail(path, "it is a link of an unknown kind");
}

Expected<const Links*> Hdf5File::Store::links(std::uint64_t address, const Object& object, std::string_view path) {
  const auto known = groups.find(address);
  if (known != groups.end()) return &known->second;
  auto links = format.links(object);
  if (!links) return fail(path, links.problem());
  return &groups.emplace(address, *std::move(links)).first->second;
}

Expected<Object> Hdf5File::Store::object(std::uint64_t address, std::string_view path) const {
  auto object = format.object(address);
  if (!object) return fail(path, object.problem());
  return object;
}

Expected<std::optional<std::uint64_t>> Hdf5File::Store::find(std::string_view path) {
  std::uint64_t address = root;
  std::size_t depth = 0;
  for (std::size_t start = 0; start < path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view child = path.substr(start, end - start);
    const std::string_view here = path.substr(0, end);
    start = end + 1;
    if (child.empty() || child == ".") continue;
    if (++depth > kMaxDepth) return fail(here, "nesting too deep");
    TRY(const Object parent, object(address, here));
    if (!parent.is_group()) return fail(here, "its parent is not a group");
    TRY(const Links* all, links(address, parent, here));
    const auto link = all->find(child);
    if (link == all->end()) return std::optional<std::uint64_t>();
    TRY(address, target(link->second, here));
  }
  return std::optional(address);
}

Expected<Object> Hdf5File::Store::open(std::string_view path) {
  TRY(const auto address, find(path));
  if (!address) return fail(path, "it is missing");
  return object(*address, path);
}

bool Hdf5File::has(std::string_view path) const {
  const auto found = store_->find(path);
  return found && *found;
}

Status Hdf5File::Store::walk(std::uint64_t address, const std::string& path,
                             const std::set<std::string, std::less<>>& skip, std::set<std::uint64_t>& seen, Tree& tree,
                             std::size_t depth) {
  if (depth > kMaxDepth) return fail(path, "nesting too deep");
  TRY(const Object group, object(address, path));
  if (!group.is_group()) return fail(path, "it is not a group");
  TRY(const Links* all, links(address, group, path));
  for (const auto& [link_name, link] : *all) {
    if (depth == 0 && skip.contains(link_name)) continue;
    const std::string child = path.empty() ? link_name : path + '/' + link_name;
    TRY(const std::uint64_t child_address, target(link, child));
    TRY(const Object found, object(child_address, child));
    if (tree.groups.size() + tree.datasets.size() > kMaxObjects) return fail(child, "too many objects");
    if (found.is_dataset()) {
      tree.datasets.push_back(child);
    } else if (found.is_group()) {
      if (!seen.insert(child_address).second) return fail(child, "the group is reached by two links");
      tree.groups.push_back(child);
      CHECK(walk(child_address, child, skip, seen, tree, depth + 1));
    }
  }
  return done();
}

Expected<Hdf5File::Tree> Hdf5File::tree(std::string_view group, const std::set<std::string, std::less<>>& skip) const {
  TRY(const auto address, store_->find(group));
  if (!address) return store_->fail(group, "it is missing");
  Tree tree;
  std::set<std::uint64_t> seen = {*address};
  CHECK(store_->walk(*address, std::string(group), skip, seen, tree, 0));
  return tree;
}

Expected<std::vector<std::string>> Hdf5File::Store::strings(const Attribute& attribute) {
  const hdf5::Datatype& type = attribute.type;
  const auto count = byte_count(attribute.space.shape, 1).value_or(0);
  // An empty list of Python has no strings to take a type from: h5py writes it as zero float64.
  if (attribute.space.null || count == 0) return std::vector<std::string>();
  const bool variable = type.kind == TypeClass::variable && (type.bits & 15U) == 1 && type.size == 16;
  if (!variable && type.kind != TypeClass::string) return error("hdf5", "it holds no strings");
  if (count > attribute.data.size() / type.size) return error("hdf5", "it declares more strings than it holds");
  std::vector<std::string> strings;
  hdf5::Cursor cursor(attribute.data);
  for (std::uint64_t i = 0; i < count; ++i) {
    Span text;
    if (variable) {
      const std::uint32_t length = cursor.u32();
      const std::uint64_t heap = cursor.u64();
      const std::uint32_t index = cursor.u32();
      if (length != 0) {
        TRY(text, format.heap_object(heap, index));
        if (length > text.size()) return hdf5::damaged("heap of strings", heap);
        text = text.first(length);
      }
    } else {
      text = cursor.take(type.size);
    }
    std::string_view value = text_of(text);
    value = value.substr(0, value.find('\0'));
    // Fortran's way of filling up.
    if (!variable && (type.bits & 15U) == 2) value = value.substr(0, value.find_last_not_of(' ') + 1);
    strings.emplace_back(value);
  }
  return strings;
}

Expected<std::optional<std::vector<std::string>>> Hdf5File::strings_attribute(std::string_view object,
                                                                              const std::string& attribute) const {
  using List = std::optional<std::vector<std::string>>;
  TRY(const Object found, store_->open(object));
  const auto attributes = store_->format.attributes(found);
  if (!attributes) return store_->fail(object, attributes.problem());
  const auto one = [&](const std::string& key) -> Expected<List> {
    const auto known =
        std::find_if(attributes->begin(), attributes->end(), [&](const Attribute& a) { return a.name == key; });
    if (known == attributes->end()) return List();
    auto strings = store_->strings(*known);
    if (!strings) return store_->fail(object, fmt::format("attribute {}: {}", key, strings.problem().message));
    return List(*std::move(strings));
  };
  TRY(List all, one(attribute));
  if (all) return all;
  for (int chunk = 0;; ++chunk) {
    TRY(const List part, one(fmt::format("{}{}", attribute, chunk)));
    if (!part) return all;
    if (!all) all.emplace();
    all->insert(all->end(), part->begin(), part->end());
  }
}

Expected<std::optional<std::string>> Hdf5File::string_attribute(std::string_view object,
                                                                const std::string& attribute) const {
  TRY(auto list, strings_attribute(object, attribute));
  if (!list) return std::optional<std::string>();
  if (list->size() != 1) {
    return store_->fail(object, fmt::format("attribute {} holds {} strings instead of one", attribute, list->size()));
  }
  return std::optional<std::string>(std::move(list->front()));
}

}  // namespace tusk
