#include "accounting/records/usage_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "accounting/records/bodies.h"
#include "accounting/records/codec.h"

namespace ufab {

bool usage_state_known(std::string_view state) {
  static constexpr std::array<std::string_view, 9> known{"BF", "CA",  "CD", "DL", "F",
                                                         "NF", "OOM", "PR", "TO"};
  return std::find(known.begin(), known.end(), state) != known.end();
}

Status check_usage_values(const UsageValues& u) {
  const auto wrong = [](std::string why) { return Error{ErrorCode::invalid, "usage: " + std::move(why)}; };
  if (u.cluster.empty()) return wrong("the cluster's name is missing");
  if (u.user.empty()) return wrong("the user's name is missing");
  if (u.external_id == 0) return wrong("the batch system's job id is missing");
  for (const auto& [name, value] :
       {std::pair{"external_id", u.external_id}, std::pair{"submit_us", u.submit_us},
        std::pair{"start_us", u.start_us}, std::pair{"end_us", u.end_us},
        std::pair{"elapsed_us", u.elapsed_us}, std::pair{"cpu_us", u.cpu_us},
        std::pair{"memory_peak_bytes", u.memory_peak_bytes}, std::pair{"gpu_us", u.gpu_us},
        std::pair{"energy_j", u.energy_j}, std::pair{"billing_s", u.billing_s}}) {
    if (value > usage_number_max)
      return wrong(fmt::format("{} is {}, at most 2^53 - 1 is possible", name, value));
  }
  if (!usage_state_known(u.state)) {
    return wrong(
        fmt::format("state '{}': expected one in which a run ends: BF CA CD DL F NF OOM PR TO", u.state));
  }
  if (u.submit_us == 0 || u.end_us == 0) return wrong("the time of submission or of the end is missing");
  if (u.start_us == 0) {
    if (u.end_us < u.submit_us) return wrong("it ended before it was submitted");
    if ((u.elapsed_us | u.cpu_us | u.gpu_us | u.memory_peak_bytes | u.energy_j | u.billing_s) != 0) {
      return wrong("it never started and yet used something");
    }
  } else {
    if (u.start_us < u.submit_us || u.end_us < u.start_us) {
      return wrong("the times are not in the order submit, start, end");
    }
    if (u.elapsed_us > u.end_us - u.start_us + 1'000'000)
      return wrong("it ran longer than from start to end");
    if (u.processors == 0 || u.nodes == 0) return wrong("it ran without processors or without nodes");
  }
  if (u.gpus == 0 && u.gpu_us != 0) return wrong("GPU time without a GPU");
  if (u.exit_code > 255 || u.signal > 127) {
    return wrong(fmt::format("exit code {}, signal {}: expected at most 255 and 127", u.exit_code, u.signal));
  }
  return {};
}

std::string usage_name(std::string_view text) {
  std::string name(text.substr(0, name_size_max));
  // A cut may fall inside a character: then, and for any other byte that is not text, plain ASCII is kept.
  if (is_printable_utf8(name)) return name;
  for (char& c : name) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return name;
}

Result<UsageImport> usage_import(JobId job, std::uint32_t attempt, UsageValues usage) {
  for (std::string* name : {&usage.cluster, &usage.user, &usage.partition}) *name = usage_name(*name);
  UFAB_TRY(check_usage_values(usage));
  return UsageImport{job, attempt, std::move(usage)};
}

bool corrects(const Correction& correction, OrgId signer, const UsageImport& import,
              const RecordId& import_id, OrgId provider) {
  if (correction.usage.size() != 1 || correction.record != import_id || signer != provider) return false;
  const UsageValues& now = correction.usage[0];
  const UsageValues& then = import.usage;
  return now.cluster == then.cluster && now.external_id == then.external_id &&
         now.submit_us == then.submit_us;
}

}  // namespace ufab
