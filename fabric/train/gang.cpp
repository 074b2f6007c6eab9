#include "fabric/train/gang.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <numeric>

#include "fabric/base/file.h"

namespace ufab {

namespace json = boost::json;

namespace {

// Reads fields of one JSON object and remembers the first thing that is wrong.
class Fields {
 public:
  Fields(const json::object& object, std::string where) : object_(object), where_(std::move(where)) {}

  std::uint64_t number(const char* key, std::uint64_t max, std::uint64_t otherwise, bool required) {
    const json::value* value = get(key, required);
    if (value == nullptr) return otherwise;
    const bool fits = (value->is_int64() && value->get_int64() >= 0) || value->is_uint64();
    const std::uint64_t result = fits ? value->to_number<std::uint64_t>() : 0;
    if (!fits || result > max) fail(fmt::format("{} must be a whole number up to {}", key, max));
    return result;
  }
  std::string text(const char* key, const std::string& otherwise, bool required) {
    const json::value* value = get(key, required);
    if (value == nullptr) return otherwise;
    if (!value->is_string() || value->get_string().size() > 4096) {
      fail(fmt::format("{} must be text", key));
      return {};
    }
    return std::string(value->get_string());
  }
  void only(std::initializer_list<std::string_view> known) {
    for (const auto& entry : object_) {
      if (std::find(known.begin(), known.end(), std::string_view(entry.key())) == known.end()) {
        fail(fmt::format("unknown field '{}'", std::string_view(entry.key())));
      }
    }
  }
  void fail(const std::string& why) {
    if (status_.ok()) status_ = Error{ErrorCode::invalid, fmt::format("{}: {}", where_, why)};
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const json::value* get(const char* key, bool required) {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr && required) fail(fmt::format("{} is missing", key));
    return value;
  }
  const json::object& object_;
  std::string where_;
  Status status_;
};

bool is_name(std::string_view text) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return !text.empty() && text.size() <= 64 && text.front() != '.' &&
         text.find_first_not_of(allowed) == std::string_view::npos;
}

Result<GangMember> parse_member(const json::value& value, const std::string& where) {
  if (!value.is_object()) return Error{ErrorCode::invalid, where + ": not an object"};
  Fields fields(value.get_object(), where);
  GangMember member;
  member.name = fields.text("name", "", true);
  const std::string key = fields.text("bridge_key", "", true);
  member.host = fields.text("host", "", true);
  member.port = static_cast<std::uint16_t>(fields.number("port", 65535, 0, true));
  member.first_micro_batch = static_cast<std::uint32_t>(fields.number("first_micro_batch", 65536, 0, true));
  member.micro_batches = static_cast<std::uint32_t>(fields.number("micro_batches", 65536, 0, true));
  fields.only({"name", "bridge_key", "host", "port", "first_micro_batch", "micro_batches"});
  if (!is_name(member.name)) fields.fail("name must be 1 to 64 letters, digits, '-', '_' or '.'");
  if (auto parsed = PublicKey::parse(key); parsed.ok()) {
    member.bridge_key = *parsed;
  } else {
    fields.fail("bridge_key: " + parsed.error().message);
  }
  UFAB_TRY(fields.status());
  return member;
}

}  // namespace

Result<Gang> parse_gang(std::string_view text, const std::string& name) {
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !root.is_object()) {
    return Error{ErrorCode::invalid, name + ": not a JSON object of schema ufab.gang/1"};
  }
  Fields fields(root.get_object(), name);
  Gang gang;
  if (fields.text("schema", "", true) != "ufab.gang/1") fields.fail("schema must be ufab.gang/1");
  gang.job = fields.number("job", UINT64_MAX, 0, true);
  gang.attempt = static_cast<std::uint32_t>(fields.number("attempt", 1'000'000, 1, false));
  gang.self = static_cast<std::uint32_t>(fields.number("self", kGangMax, 0, true));
  gang.hub = static_cast<std::uint32_t>(fields.number("hub", kGangMax, 0, true));
  gang.bridge_secret = fields.text("bridge_secret", "", false);
  gang.peer_timeout_ms =
      static_cast<std::int64_t>(fields.number("peer_timeout_ms", 86'400'000, 30'000, false));
  gang.join_timeout_ms =
      static_cast<std::int64_t>(fields.number("join_timeout_ms", 86'400'000, 60'000, false));
  gang.resume = fields.text("resume", "latest", false);
  fields.only({"schema", "job", "attempt", "self", "hub", "members", "bridge_secret", "peer_timeout_ms",
               "join_timeout_ms", "resume"});
  const json::value* members = root.get_object().if_contains("members");
  if (members == nullptr || !members->is_array() || members->get_array().empty() ||
      members->get_array().size() > kGangMax) {
    fields.fail(fmt::format("members must be a list of 1 to {}", kGangMax));
  }
  UFAB_TRY(fields.status());
  for (const auto& value : members->get_array()) {
    UFAB_ASSIGN(GangMember member,
                parse_member(value, fmt::format("{}: member {}", name, gang.members.size())));
    for (const auto& other : gang.members) {
      if (other.name == member.name) fields.fail("two members have the name " + member.name);
    }
    gang.members.push_back(std::move(member));
  }
  if (gang.self >= gang.members.size()) fields.fail("self is not a member");
  if (gang.hub >= gang.members.size()) fields.fail("hub is not a member");
  UFAB_TRY(fields.status());
  return gang;
}

Result<Gang> load_gang(const std::string& path) {
  UFAB_ASSIGN(const std::string text, read_text_file(path, 1 << 20));
  return parse_gang(text, path);
}

std::string gang_json(const Gang& gang) {
  json::array members;
  for (const auto& member : gang.members) {
    members.push_back(json::object{{"name", member.name},
                                   {"bridge_key", member.bridge_key.hex()},
                                   {"host", member.host},
                                   {"port", member.port},
                                   {"first_micro_batch", member.first_micro_batch},
                                   {"micro_batches", member.micro_batches}});
  }
  json::object root{{"schema", "ufab.gang/1"},
                    {"job", gang.job},
                    {"attempt", gang.attempt},
                    {"self", gang.self},
                    {"hub", gang.hub},
                    {"members", std::move(members)},
                    {"bridge_secret", gang.bridge_secret},
                    {"peer_timeout_ms", gang.peer_timeout_ms},
                    {"join_timeout_ms", gang.join_timeout_ms},
                    {"resume", gang.resume}};
  return json::serialize(root) + "\n";
}

Gang gang_of_one(std::uint32_t micro_batches) {
  Gang gang;
  gang.members.push_back({"self", {}, "", 0, 0, micro_batches});
  return gang;
}

Status check_cover(const Gang& gang, std::uint32_t micro_batches) {
  std::uint32_t next = 0;
  for (const auto& member : gang.members) {
    if (member.first_micro_batch != next) {
      return Error{ErrorCode::invalid, fmt::format("member {} starts at micro-batch {}, {} was expected",
                                                   member.name, member.first_micro_batch, next)};
    }
    next += member.micro_batches;
  }
  if (next != micro_batches) {
    return Error{ErrorCode::invalid,
                 fmt::format("the members compute {} micro-batches a step, the definition has {}", next,
                             micro_batches)};
  }
  return {};
}

std::vector<std::uint32_t> divide_by_weight(std::uint32_t total, const std::vector<std::uint64_t>& weights) {
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t sum = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
  UFAB_ASSERT(sum > 0);
  std::vector<std::uint32_t> shares;
  std::vector<std::uint64_t> remainders;
  std::uint32_t given = 0;
  for (const std::uint64_t weight : weights) {
    const Wide product = static_cast<Wide>(total) * weight;
    shares.push_back(static_cast<std::uint32_t>(product / sum));
    remainders.push_back(static_cast<std::uint64_t>(product % sum));
    given += shares.back();
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t i = 0; given < total; ++i, ++given) ++shares[order[i]];
  return shares;
}

}  // namespace ufab
