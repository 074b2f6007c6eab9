// How a batch system's files hold what jobs/batch/batch_system.h declares; for batch systems only.
#pragma once

#include <boost/json.hpp>
#include <exception>
#include <string>

#include "fabric/base/file.h"
#include "jobs/batch/batch_system.h"

namespace ufab::jobs {

inline constexpr std::size_t max_run_file_bytes = 8u << 20;

// Runs a reader that uses Boost.JSON's throwing accessors; a file that is not what we wrote is corrupt.
template <typename T, typename Reader>
[[nodiscard]] Result<T> read_json_file(const std::string& path, Reader reader) {
  UFAB_ASSIGN(const std::string text, read_text_file(path, max_run_file_bytes));
  boost::json::parse_options options;
  options.allow_invalid_utf8 = true;  // environment, arguments and paths are bytes
  try {
    return reader(boost::json::parse(text, {}, options));
  } catch (const std::exception& error) {
    return Error{ErrorCode::corrupt, path + ": " + error.what()};
  }
}

[[nodiscard]] boost::json::object run_status_to_json(const RunStatus& status);
// Throws what Boost.JSON's accessors throw: call it inside read_json_file.
[[nodiscard]] Result<RunStatus> run_status_from_json(const boost::json::object& object);

}  // namespace ufab::jobs
