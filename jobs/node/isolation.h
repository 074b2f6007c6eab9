// How a provider keeps scripts apart from itself and from each other: [provider.isolation] in config.toml.
//
//   run_as = "fabric"            local user for scripts of organisations that are not named below; absent:
//   the node's run_folder = "/var/lib/…"    where runs live (jobs/node/run_place.h); absent: the home's path
//   with "-runs" behind bubblewrap = true            the local batch system's runs see no more than they need
//   (jobs/batch/sandbox.h) script_network = false       ordinary scripts have no network; training always
//   has, its leaders meet there readable = ["/apps"]         what runs may read beside the system, with
//   bubblewrap [provider.isolation.users]   organisation = "local user"
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fabric/base/result.h"
#include "jobs/batch/run_user.h"

namespace ufab::jobs {

struct IsolationConfig {
  std::string default_user;                  // empty: none
  std::map<std::string, std::string> users;  // organisation to local user
  std::string run_folder;                    // absolute; empty: beside the home
  bool bubblewrap = false;
  bool script_network = true;
  std::vector<std::string> readable;  // absolute

  [[nodiscard]] bool maps_users() const { return !default_user.empty() || !users.empty(); }
  // Empty: the node's own.
  [[nodiscard]] const std::string& user_for(const std::string& organisation) const;
  // Whether scripts of that organisation are kept apart at all.
  [[nodiscard]] bool applies_to(const std::string& organisation) const {
    return bubblewrap || !user_for(organisation).empty();
  }
  [[nodiscard]] std::string runs_root(const std::string& home) const;
  // Every user named, once each.
  [[nodiscard]] std::vector<std::string> all_users() const;

  friend bool operator==(const IsolationConfig&, const IsolationConfig&) = default;
};

// What `--run-as TEXT` says: "USER" the default, "ORGANISATION=USER" one organisation's, "ORGANISATION="
// takes that one back, "none" all of them. Usage error for anything else.
[[nodiscard]] Status apply_run_as(const std::string& text, IsolationConfig& config);

// The account for scripts of this organisation; nullopt where it is the node's own. An error: there is one,
// and it cannot be had here (no such account, root, or the node may not become others).
[[nodiscard]] Result<std::optional<RunUser>> run_user_for(const IsolationConfig& config,
                                                          const std::string& organisation);

}  // namespace ufab::jobs
