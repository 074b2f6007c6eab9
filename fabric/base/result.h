// Errors as values. A function that can fail for a reason outside the program returns Result<T>;
// exceptions stay inside the third-party libraries that throw them. An Error carries one line for a
// person (what, where, what would be right) and a code that decides the exit status.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "fabric/base/assert.h"

namespace ufab {

enum class ErrorCode {
  usage,        // the command line is wrong                        exit 2
  invalid,      // input that no correct producer would make        exit 1
  not_found,    // the thing named does not exist                   exit 1
  denied,       // the caller may not do this                       exit 1
  conflict,     // valid in itself, but not in the present state    exit 1
  limit,        // a documented bound would be exceeded             exit 1
  io,           // the operating system refused                     exit 1
  corrupt,      // stored bytes do not match their digest           exit 1
  unavailable,  // a node or peer cannot be reached                 exit 3
  timeout,      // no answer within the bound                       exit 3
};

[[nodiscard]] const char* error_code_name(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::invalid;
  std::string message;  // one line, no trailing period or newline

  // Exit status of a command that ends with this error (DESIGN section 9): 1, 2 or 3.
  [[nodiscard]] int exit_status() const;
  // The same error with "context: " in front, for example a file's name.
  [[nodiscard]] Error within(const std::string& context) const { return {code, context + ": " + message}; }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] T& value() & {
    UFAB_ASSERT(ok());
    return std::get<0>(state_);
  }
  [[nodiscard]] const T& value() const& {
    UFAB_ASSERT(ok());
    return std::get<0>(state_);
  }
  [[nodiscard]] T&& value() && {
    UFAB_ASSERT(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const {
    UFAB_ASSERT(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const {
    UFAB_ASSERT(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace ufab

// UFAB_TRY(status_expression): returns the error of a failed Status or Result from the enclosing function.
#define UFAB_TRY(expression) UFAB_TRY_INNER(UFAB_CONCAT(ufab_try_, __COUNTER__), expression)
#define UFAB_TRY_INNER(holder, expression) \
  do {                                     \
    auto&& holder = (expression);          \
    if (!holder.ok()) {                    \
      return holder.error();               \
    }                                      \
  } while (false)

#define UFAB_CONCAT_INNER(a, b) a##b
#define UFAB_CONCAT(a, b) UFAB_CONCAT_INNER(a, b)

// UFAB_ASSIGN(auto x, expression): x takes the value of a Result, or its error is returned.
#define UFAB_ASSIGN(target, expression) \
  UFAB_ASSIGN_INNER(UFAB_CONCAT(ufab_assign_, __COUNTER__), target, expression)
#define UFAB_ASSIGN_INNER(holder, target, expression) \
  auto holder = (expression);                         \
  if (!holder.ok()) {                                 \
    return holder.error();                            \
  }                                                   \
  target = std::move(holder).value()
