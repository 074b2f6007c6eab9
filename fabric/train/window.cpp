#include "fabric/train/window.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "fabric/base/file.h"

namespace ufab {

namespace json = boost::json;

namespace {
constexpr std::string_view kSchema = "ufab.window/1";
constexpr std::pair<const char*, std::uint64_t WindowClaim::*> kNumbers[] = {
    {"window", &WindowClaim::window},           {"first_step", &WindowClaim::first_step},
    {"end_step", &WindowClaim::end_step},       {"micro_batches", &WindowClaim::micro_batches},
    {"tokens", &WindowClaim::tokens},           {"work_flop", &WindowClaim::work_flop},
    {"wall_us", &WindowClaim::wall_us},         {"cpu_us", &WindowClaim::cpu_us},
    {"max_rss_kib", &WindowClaim::max_rss_kib},
};
constexpr std::pair<const char*, Digest WindowClaim::*> kDigests[] = {
    {"start_digest", &WindowClaim::start_digest},
    {"end_digest", &WindowClaim::end_digest},
    {"contributions_root", &WindowClaim::contributions_root},
};
}  // namespace

std::string window_claim_json(const WindowClaim& c) {
  return fmt::format(
      R"({{"schema":"{}","window":{},"first_step":{},"end_step":{},"start_digest":"{}","end_digest":"{}",)"
      R"("contributions_root":"{}","micro_batches":{},"tokens":{},"work_flop":{},"wall_us":{},"cpu_us":{},)"
      R"("max_rss_kib":{}}})",
      kSchema, c.window, c.first_step, c.end_step, c.start_digest.str(), c.end_digest.str(),
      c.contributions_root.str(), c.micro_batches, c.tokens, c.work_flop, c.wall_us, c.cpu_us, c.max_rss_kib);
}

Result<WindowClaim> parse_window_claim(std::string_view line) {
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(line.data(), line.size()), error);
  const json::object* object = error ? nullptr : root.if_object();
  const json::value* schema = object == nullptr ? nullptr : object->if_contains("schema");
  if (schema == nullptr || !schema->is_string() || std::string_view(schema->get_string()) != kSchema) {
    return Error{ErrorCode::invalid, "not a JSON object of schema ufab.window/1"};
  }
  WindowClaim claim;
  for (const auto& [name, member] : kNumbers) {
    const json::value* value = object->if_contains(name);
    const bool whole =
        value != nullptr && (value->is_uint64() || (value->is_int64() && value->get_int64() >= 0));
    if (!whole) return Error{ErrorCode::invalid, fmt::format("{} must be a whole number", name)};
    claim.*member = value->to_number<std::uint64_t>();
  }
  for (const auto& [name, member] : kDigests) {
    const json::value* value = object->if_contains(name);
    if (value == nullptr || !value->is_string()) {
      return Error{ErrorCode::invalid, fmt::format("{} must be a digest", name)};
    }
    UFAB_ASSIGN(claim.*member, Digest::parse(std::string_view(value->get_string())));
  }
  return claim;
}

Result<std::vector<WindowClaim>> parse_window_claims(std::string_view rest, const std::string& path) {
  std::vector<WindowClaim> claims;
  for (std::size_t end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
    auto claim = parse_window_claim(rest.substr(0, end));
    if (!claim) return claim.error().within(fmt::format("{}:{}", path, claims.size() + 1));
    claims.push_back(*claim);
    rest.remove_prefix(end + 1);
  }
  return claims;
}

Result<std::vector<WindowClaim>> load_window_claims(const std::string& folder) {
  const std::string path = folder + "/windows.jsonl";
  UFAB_ASSIGN(const std::string text, read_text_file(path, window_claims_bytes_max));
  return parse_window_claims(text, path);
}

}  // namespace ufab
