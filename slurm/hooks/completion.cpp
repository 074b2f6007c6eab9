#include "slurm/hooks/completion.h"

#include <boost/json.hpp>
#include <charconv>
#include <optional>

namespace ufab::slurm {

namespace json = boost::json;

namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// JSON is UTF-8; a name may hold any byte.
std::string readable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 1024)) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(byte < 0x20 || byte >= 0x7f ? '?' : c);
  }
  return out;
}

}  // namespace

Result<std::string> completion_line(const std::map<std::string, std::string>& variables) {
  const auto text = [&](const char* name) -> std::string_view {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string_view() : std::string_view(found->second);
  };
  const auto id = number(text("JOBID"));
  const auto submit = number(text("SUBMIT"));
  const std::string cluster = readable(text("CLUSTER"));
  if (!id || !submit || cluster.empty()) {
    return Error{ErrorCode::invalid,
                 "JOBID, SUBMIT or CLUSTER is missing: this program is for JobCompType=jobcomp/script"};
  }
  json::object line{
      {"schema", "ufab.completion/1"}, {"cluster", cluster}, {"job_id", *id}, {"submit_s", *submit}};
  const auto add_number = [&](const char* key, const char* variable) {
    if (const auto value = number(text(variable))) line[key] = *value;
  };
  const auto add_text = [&](const char* key, const char* variable) {
    if (!text(variable).empty()) line[key] = readable(text(variable));
  };
  add_number("start_s", "START");
  add_number("end_s", "END");
  add_text("state", "JOBSTATE");
  const std::string_view exit = text("EXITCODE");
  const std::size_t colon = exit.find(':');
  if (colon != std::string_view::npos) {
    if (const auto code = number(exit.substr(0, colon))) line["exit_code"] = *code;
    if (const auto signal = number(exit.substr(colon + 1))) line["signal"] = *signal;
  } else if (const auto status = number(exit)) {
    const std::uint64_t signal = *status & 0x7f;
    line["signal"] = signal;
    line["exit_code"] = signal == 0 ? *status >> 8 & 0xff : 0;
  }
  add_text("name", "JOBNAME");
  add_text("user", "USERNAME");
  add_text("account", "ACCOUNT");
  add_text("partition", "PARTITION");
  add_number("processors", "PROCS");
  add_number("nodes", "NODECNT");
  // A job that was cancelled while it waited holds nothing.
  if (!line.contains("start_s")) {
    line.erase("processors");
    line.erase("nodes");
  }
  return json::serialize(line) + "\n";
}

}  // namespace ufab::slurm
