#include "slurm/record_file.h"

#include <array>
#include <charconv>
#include <stdexcept>

#include "fabric/base/foreign_file.h"
#include "jobs/batch/run_json.h"

namespace ufab::slurm {

namespace json = boost::json;

namespace {

constexpr std::array<const char*, 4> phase_names{"intended", "attempted", "submitted", "ended"};

}  // namespace

Status save_record(const std::string& run_folder, const RunRecord& record) {
  const json::object object{{"schema", "ufab.slurm-run/1"},
                            {"name", record.name},
                            {"tag", record.tag},
                            {"phase", phase_names[static_cast<std::size_t>(record.phase)]},
                            {"created_us", record.created_us},
                            {"attempted_us", record.attempted_us},
                            {"attempts", record.attempts},
                            {"slurm_job", record.job},
                            {"twins", json::array(record.twins.begin(), record.twins.end())},
                            {"cancel_wanted", record.cancel_wanted},
                            {"cancelled_us", record.cancelled_us},
                            {"claimed", record.claimed},
                            {"launched_again", record.launched_again},
                            {"missing_since_us", record.missing_since_us},
                            {"unknown_since_us", record.unknown_since_us},
                            {"finished_us", record.finished_us},
                            {"status", jobs::run_status_to_json(record.status)}};
  return write_file_atomic(run_folder + "/record.json", as_bytes(json::serialize(object) + "\n"), 0600);
}

Result<RunRecord> load_record(const std::string& run_folder) {
  return jobs::read_json_file<RunRecord>(
      run_folder + "/record.json", [](const json::value& value) -> Result<RunRecord> {
        const json::object& object = value.as_object();
        RunRecord record;
        record.name = std::string(object.at("name").as_string());
        record.tag = std::string(object.at("tag").as_string());
        const auto phase = std::string_view(object.at("phase").as_string());
        std::size_t number = 0;
        while (number < phase_names.size() && phase != phase_names[number]) ++number;
        if (number == phase_names.size()) throw std::runtime_error("unknown phase");
        record.phase = static_cast<RunPhase>(number);
        const auto time = [&](const char* key) { return object.at(key).to_number<std::int64_t>(); };
        record.created_us = time("created_us");
        record.attempted_us = time("attempted_us");
        record.attempts = object.at("attempts").to_number<std::uint32_t>();
        record.job = object.at("slurm_job").to_number<std::uint64_t>();
        for (const json::value& twin : object.at("twins").as_array())
          record.twins.push_back(twin.to_number<std::uint64_t>());
        record.cancel_wanted = object.at("cancel_wanted").as_bool();
        record.cancelled_us = time("cancelled_us");
        record.claimed = object.at("claimed").as_bool();
        record.launched_again = object.at("launched_again").as_bool();
        record.missing_since_us = time("missing_since_us");
        record.unknown_since_us = time("unknown_since_us");
        record.finished_us = time("finished_us");
        UFAB_ASSIGN(record.status, jobs::run_status_from_json(object.at("status").as_object()));
        return record;
      });
}

Claim read_claim(const std::string& run_folder) {
  Claim claim;
  const auto file = ForeignFile::open(run_folder, "claim", true);
  if (!file) return claim;
  const auto bytes = file->read_all(64);
  if (!bytes) return claim;
  const std::string_view text = as_text(*bytes);
  std::from_chars(text.data(), text.data() + text.size(), claim.job);
  claim.own = file->is_own();
  return claim;
}

std::uint64_t claimed_by(const std::string& run_folder) {
  return read_claim(run_folder).job;
}

bool launched_again(const std::string& run_folder) {
  return file_exists(run_folder + "/launched-again");
}

Status claim_run(const std::string& run_folder, std::uint64_t job) {
  const std::string line = std::to_string(job) + "\n";
  const Status created = create_file_exclusive(run_folder + "/claim", as_bytes(line), 0600);
  if (created.ok() || created.error().code != ErrorCode::conflict) return created;
  const std::uint64_t owner = claimed_by(run_folder);
  // The same job too: a slurmctld that was killed after a launch starts the job once more.
  if (owner == job) UFAB_TRY(write_file_atomic(run_folder + "/launched-again", {}, 0600));
  return Error{ErrorCode::conflict,
               "Slurm job " + std::to_string(owner) + " has started this script already"};
}

}  // namespace ufab::slurm
