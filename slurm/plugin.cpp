// The plug-in's door: what jobs/batch/plugin.h looks for in ufab-batch-slurm.so.
#include "jobs/batch/plugin.h"

#include <filesystem>

#include "slurm/rest_controller.h"
#include "slurm/slurm_batch.h"

extern "C" __attribute__((visibility("default"))) ufab::Result<std::unique_ptr<ufab::jobs::BatchSystem>>
ufab_make_batch_system_1(const ufab::jobs::BatchConfig& config) {
  ufab::slurm::SlurmSettings settings;
  ufab::slurm::RestSettings rest;
  for (const auto& [key, value] : config.settings) {
    if (key == "telemetry") continue;  // where the hooks write: for `ufab audit reconcile`
    std::string* field = key == "conf"          ? &settings.conf
                         : key == "partition"   ? &settings.partition
                         : key == "account"     ? &settings.account
                         : key == "qos"         ? &settings.qos
                         : key == "reservation" ? &settings.reservation
                         : key == "rest"        ? &rest.server
                         : key == "rest-token"  ? &rest.token_file
                                                : nullptr;
    if (field == nullptr) {
      return ufab::Error{
          ufab::ErrorCode::invalid,
          "[provider.slurm]: unknown key '" + key +
              "'; there are conf, partition, account, qos, reservation, rest, rest-token and telemetry"};
    }
    *field = value;
  }
  ufab::slurm::SlurmBatchConfig batch;
  batch.folder = config.folder;
  batch.launcher = (std::filesystem::path(config.program).parent_path() / "ufab-slurm-launch").string();
  batch.chain = config.chain;
  batch.log = config.log;
  std::unique_ptr<ufab::slurm::Controller> controller = ufab::slurm::make_command_controller(settings);
  if (!rest.server.empty()) {
    UFAB_TRY(ufab::check_http_server(rest.server));
    controller =
        ufab::slurm::make_rest_controller(std::move(rest), std::move(settings), std::move(controller));
  }
  return ufab::slurm::make_slurm_batch(std::move(batch), std::move(controller));
}
