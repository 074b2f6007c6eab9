// SQLite statements with typed values, for the index alone. Not thread-safe.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "fabric/base/digest.h"
#include "fabric/base/sign.h"

namespace ufab {

// A prepared statement; bind values in order, then run() or step().
class Statement {
 public:
  Statement(sqlite3* db, const char* sql) {
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) != SQLITE_OK) {
      statement_ = nullptr;
    }
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  template <class... Values>
  int run(const Values&... values) {
    const int result = start(values...);
    reset();
    return result;
  }
  // First step; call reset() when done with the rows.
  template <class... Values>
  int start(const Values&... values) {
    if (statement_ == nullptr) return SQLITE_ERROR;
    int column = 1;
    (bind(column++, values), ...);
    return sqlite3_step(statement_);
  }
  // For as many values as do not fit in one call: then start() or run() without values.
  void bind_from_start() { column_ = 1; }
  template <class... Values>
  void bind_next(const Values&... values) {
    if (statement_ != nullptr) (bind(column_++, values), ...);
  }
  int next() { return sqlite3_step(statement_); }
  void reset() {
    if (statement_ != nullptr) sqlite3_reset(statement_);
  }
  [[nodiscard]] sqlite3_stmt* raw() const { return statement_; }

 private:
  void bind(int column, std::uint64_t value) {
    const std::uint64_t bounded = std::min<std::uint64_t>(value, INT64_MAX);
    sqlite3_bind_int64(statement_, column, static_cast<sqlite3_int64>(bounded));
  }
  void bind(int column, std::int64_t value) { sqlite3_bind_int64(statement_, column, value); }
  void bind(int column, std::uint32_t value) { sqlite3_bind_int64(statement_, column, value); }
  void bind(int column, bool value) { sqlite3_bind_int64(statement_, column, value ? 1 : 0); }
  void bind(int column, const Digest& value) {
    sqlite3_bind_blob(statement_, column, value.bytes.data(), 32, SQLITE_STATIC);
  }
  void bind(int column, const PublicKey& value) {
    sqlite3_bind_blob(statement_, column, value.bytes.data(), 32, SQLITE_STATIC);
  }
  void bind(int column, const std::string& value) {
    sqlite3_bind_text(statement_, column, value.c_str(), static_cast<int>(value.size()), SQLITE_STATIC);
  }
  void bind(int column, const char* value) {
    sqlite3_bind_text(statement_, column, value, -1, SQLITE_STATIC);
  }

  sqlite3_stmt* statement_ = nullptr;
  int column_ = 1;
};

}  // namespace ufab
