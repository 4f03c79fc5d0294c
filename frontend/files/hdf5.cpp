#include "frontend/files/hdf5.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
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
constexpr std::uint64_t kStringSteps = 16;  // each takes as many bytes as an object of a heap, or more

}  // namespace

bool looks_like_hdf5(std::span<const std::byte> bytes) { return text_of(bytes).starts_with("\x89HDF\r\n\x1a\n"); }

Expected<Hdf5File> Hdf5File::open(const std::filesystem::path& path) {
  TRY(Bytes bytes, read_file(path));
  return from_bytes(std::move(bytes), path.string());
}

Expected<Hdf5File> Hdf5File::from_bytes(Bytes bytes, std::string name, std::optional<std::uint64_t> stored) {
  Hdf5File file;
  file.name_ = std::move(name);
  file.store_ = std::make_shared<Store>();
  Store& store = *file.store_;
  store.name = file.name_;
  store.budget = plausible_size(stored.value_or(bytes.size()));
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

Expected<Object> Hdf5File::Store::object(std::uint64_t address, std::string_view path) {
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
    if (const Status few = format.cost().look(1, child.size()); !few) return fail(here, few.problem());
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
    if (const Status few = format.cost().look(1, child.size()); !few) return fail(path, few.problem());
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

Status Hdf5File::Store::add_strings(const Attribute& attribute, std::vector<std::string>& out) {
  const hdf5::Datatype& type = attribute.type;
  const auto count = byte_count(attribute.space.shape, 1).value_or(0);
  // An empty list of Python has no strings to take a type from: h5py writes it as zero float64.
  if (attribute.space.null || count == 0) return done();
  const bool variable = type.kind == TypeClass::variable && (type.bits & 15U) == 1 && type.size == 16;
  if (!variable && type.kind != TypeClass::string) return error("hdf5", "it holds no strings");
  if (count > attribute.data.size() / type.size) return error("hdf5", "it declares more strings than it holds");
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
    CHECK(format.cost().look(kStringSteps, value.size()));
    out.emplace_back(value);
  }
  return done();
}

Expected<std::optional<std::vector<std::string>>> Hdf5File::strings_attribute(std::string_view object,
                                                                              const std::string& attribute) const {
  using List = std::optional<std::vector<std::string>>;
  TRY(const Object found, store_->open(object));
  const auto attributes = store_->format.attributes(found);
  if (!attributes) return store_->fail(object, attributes.problem());
  std::map<std::string_view, const Attribute*> by_name;
  for (const Attribute& known : *attributes) by_name.emplace(known.name, &known);
  List all;
  /// Adds the strings of an attribute; false if there is none of that name.
  const auto add = [&](const std::string& key) -> Expected<bool> {
    const auto known = by_name.find(key);
    if (known == by_name.end()) return false;
    if (!all) all.emplace();
    const Status added = store_->add_strings(*known->second, *all);
    if (!added) return store_->fail(object, fmt::format("attribute {}: {}", key, added.problem().message));
    return true;
  };
  TRY(const bool whole, add(attribute));
  bool more = !whole;
  for (int chunk = 0; more; ++chunk) {
    TRY(more, add(fmt::format("{}{}", attribute, chunk)));
  }
  return all;
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
