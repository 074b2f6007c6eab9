// What `ufab submit --test-only --json` says of the options of a submission, before any node is asked.
//
//   {"schema": "ufab.submit-test/1",
//    "options":         every sbatch option in force, from script, environment and command line, under its
//    long
//                       name, in Slurm's spelling (as `sbatch --verbose` lists it): "time": "1-02:03:00",
//                       "mem": "4G" (MiB without a letter), "array": "0-15%4", "begin":
//                       "2026-11-25T16:00:00" (local time), "nodes": "2-4"; whole numbers are numbers, flags
//                       true, file names absolute
//    "fabric_options":  the same of the fabric's own (#UFAB lines)
//    "parsed":          what they mean, units in the names: see report_parsed()
//    "components":      of a heterogeneous job: options and parsed of each component behind the first
//    "offer":           the offer (ufab.offer/1), or null with the reason in "offer_reason"}
#pragma once

#include <boost/json/object.hpp>

#include "jobs/script/options.h"

namespace ufab::jobs {

// "options" of one component.
[[nodiscard]] boost::json::object report_options(const std::map<std::string, OptionInForce>& in_force);

// "parsed" of one component. Absent: not asked for and without a default.
//   job_name output error input working_folder comment export
//   time_limit_minutes (null: none) time_min_minutes begin_s deadline_s (seconds since 1970)
//   tasks cpus_per_task nodes_min nodes_max tasks_per_node
//   memory_mib memory_per_cpu_mib memory_per_gpu_mib memory_limit_mib (0: none) temporary_disk_mib
//   gres gpus gpus_per_node gpus_per_task gpus_per_socket: [{name, type, count}]
//   array: {tasks, throttle, step}   signal: {number, name, seconds_before_end, batch_shell_only}
//   dependency: {any_of, terms: [{kind, job, task, delay_minutes}]}   kill_on_invalid_dependency
//   requeue hold append_output nice priority
[[nodiscard]] boost::json::object report_parsed(const SubmitOptions& options);

// All of it but the offer.
[[nodiscard]] boost::json::object report_submission(const SubmitOptions& options);

}  // namespace ufab::jobs
