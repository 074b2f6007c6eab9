#include "jobs/node/isolation.h"

#include <algorithm>

#include "jobs/node/home.h"

namespace ufab::jobs {

const std::string& IsolationConfig::user_for(const std::string& organisation) const {
  const auto found = users.find(organisation);
  return found == users.end() ? default_user : found->second;
}

std::string IsolationConfig::runs_root(const std::string& home) const {
  return run_folder.empty() ? home + "-runs" : run_folder;
}

std::vector<std::string> IsolationConfig::all_users() const {
  std::vector<std::string> all;
  if (!default_user.empty()) all.push_back(default_user);
  for (const auto& [organisation, user] : users) {
    if (std::find(all.begin(), all.end(), user) == all.end()) all.push_back(user);
  }
  return all;
}

Status apply_run_as(const std::string& text, IsolationConfig& config) {
  if (text == "none") {
    config.default_user.clear();
    config.users.clear();
    return {};
  }
  const std::size_t equals = text.find('=');
  const std::string user = equals == std::string::npos ? text : text.substr(equals + 1);
  if (equals == std::string::npos) {
    if (user.empty()) return Error{ErrorCode::usage, "--run-as: USER, ORGANISATION=USER or none is wanted"};
    config.default_user = user;
    return {};
  }
  const std::string organisation = text.substr(0, equals);
  if (const Status known = check_organisation_name(organisation); !known.ok())
    return Error{ErrorCode::usage, "--run-as: " + known.error().message};
  if (user.empty()) {
    config.users.erase(organisation);
  } else {
    config.users[organisation] = user;
  }
  return {};
}

Result<std::optional<RunUser>> run_user_for(const IsolationConfig& config, const std::string& organisation) {
  const std::string& name = config.user_for(organisation);
  if (name.empty()) return std::optional<RunUser>();
  UFAB_ASSIGN(RunUser user, find_run_user(name));
  UFAB_TRY(check_may_become_others());
  return std::optional<RunUser>(std::move(user));
}

}  // namespace ufab::jobs
