#include "tests/fabric/support/job.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "fabric/data/corpus.h"
#include "fabric/net/tls.h"

namespace ufab::testing {

namespace {

std::string generated_text() {
  const char* const words[] = {"the",  "provider", "sends",  "a",     "receipt", "for",   "every", "window",
                               "and",  "verifier", "checks", "it",    "again",   "with",  "other", "ranks",
                               "then", "ledger",   "pays",   "whole", "work",    "twice", "never", "once"};
  std::string text;
  std::uint32_t state = 12345;
  for (int sentence = 0; sentence < 400; ++sentence) {
    for (int word = 0; word < 8; ++word) {
      state = state * 1664525 + 1013904223;
      text += words[(state >> 16) % std::size(words)];
      text += word == 7 ? ".\n" : " ";
    }
  }
  return text;
}

}  // namespace

TestJob::TestJob(const std::string& settings)
    : definition_(folder_ / "job.toml"), corpus_(folder_ / "corpus.h5") {
  std::ofstream(folder_ / "text.txt") << generated_text();
  EXPECT_TRUE(pack_corpus({folder_ / "text.txt"}, corpus_, {}).ok());
  std::ofstream(definition_)
      << "[model]\nlayers = 1\nheads = 2\nwidth = 32\ncontext = 32\n"
      << "[data]\ncorpus = \"corpus.h5\"\n[train]\nmicro_batch = 2\nmicro_batches = 8\n"
      << "learning_rate = 1e-2\nwarmup_steps = 3\neval_batches = 4\n"
      << settings;
}

Process TestJob::start(const std::string& name, const Launch& launch) const {
  std::vector<std::string> command;
  if (launch.ranks > 1) command = {"mpirun", "-n", std::to_string(launch.ranks)};
  command.insert(command.end(),
                 {launch.program, "--job", launch.definition.empty() ? definition_ : launch.definition,
                  "--out", path(name)});
  if (!launch.gang.empty()) command.insert(command.end(), {"--gang", launch.gang});
  command.insert(command.end(), launch.options.begin(), launch.options.end());
  Process::Environment environment = mpi_environment();
  environment.insert(environment.end(), launch.environment.begin(), launch.environment.end());
  return Process(folder_.path(), name, command, environment);
}

Outcome TestJob::run(const std::string& name, const Launch& launch) const {
  return start(name, launch).wait();
}

std::vector<std::string> TestJob::write_gang(const std::string& prefix,
                                             const std::vector<std::uint32_t>& shares,
                                             const std::string& resume) const {
  Gang gang;
  gang.job = 7;
  gang.peer_timeout_ms = 5000;
  gang.join_timeout_ms = 20000;
  gang.resume = resume;
  std::vector<KeyPair> keys;
  std::vector<Listener> holders;  // held until all ports are chosen, so that they differ
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    keys.push_back(KeyPair::generate());
    holders.push_back(*Listener::bind_for_later("127.0.0.1"));
    gang.members.push_back({prefix + std::to_string(i), keys.back().public_key(), "127.0.0.1",
                            holders.back().endpoint().port, first, shares[i]});
    first += shares[i];
  }
  std::vector<std::string> files;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    gang.self = static_cast<std::uint32_t>(i);
    gang.bridge_secret = path(prefix + std::to_string(i) + ".key");
    std::remove(gang.bridge_secret.c_str());
    EXPECT_TRUE(keys[i].save(gang.bridge_secret).ok());
    files.push_back(path(prefix + std::to_string(i) + ".json"));
    std::ofstream(files.back()) << gang_json(gang);
  }
  return files;
}

std::vector<Outcome> TestJob::run_gang(const std::string& prefix, const std::vector<std::uint32_t>& shares,
                                       const std::map<std::size_t, Launch>& launches) const {
  const auto files = write_gang(prefix, shares);
  std::vector<Process> processes;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const auto found = launches.find(i);
    Launch launch = found == launches.end() ? Launch{} : found->second;
    launch.gang = files[i];
    processes.push_back(start(prefix + std::to_string(i), launch));
  }
  std::vector<Outcome> outcomes;
  for (auto& process : processes) outcomes.push_back(process.wait());
  return outcomes;
}

std::string final_digest(const Outcome& outcome) {
  const std::string marker = "final digest ";
  const std::size_t at = outcome.output.rfind(marker);
  if (outcome.status != 0 || at == std::string::npos) return "";
  return outcome.output.substr(at + marker.size(), 7 + 64);
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace ufab::testing
