// Handles of the HDF5 C library, closed at the end of their scope, and the few reads and writes that this
// project's files need. Internal to fabric/; HDF5's own error printing is switched off on first use.
// HDF5 is not thread-safe: one thread of a process at a time.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>

#include "fabric/base/bytes.h"

namespace ufab::hdf5 {

template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) Close(id_);
  }
  [[nodiscard]] bool ok() const { return id_ >= 0; }
  [[nodiscard]] hid_t id() const { return id_; }
  // Closes now and says whether that worked: the last write may fail only here.
  [[nodiscard]] bool close() { return Close(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
};
using File = Handle<H5Fclose>;
using Dataset = Handle<H5Dclose>;
using Space = Handle<H5Sclose>;
using Properties = Handle<H5Pclose>;
using Attribute = Handle<H5Aclose>;
using Type = Handle<H5Tclose>;

void quiet();

// Attributes of the root group. Text is fixed-length; numbers are little-endian on disk.
[[nodiscard]] bool write_text(const File& file, const char* name, const std::string& text);
[[nodiscard]] bool write_u64(const File& file, const char* name, std::uint64_t value);
[[nodiscard]] bool write_f64(const File& file, const char* name, double value);
[[nodiscard]] bool read_text(const File& file, const char* name, std::size_t max_size, std::string& text);
[[nodiscard]] bool read_u64(const File& file, const char* name, std::uint64_t& value);
[[nodiscard]] bool read_f64(const File& file, const char* name, double& value);

// A one-dimensional contiguous dataset of `type`, allocated at once and without time stamps, so that equal
// content makes equal files.
[[nodiscard]] Dataset create_dataset(const File& file, const char* name, hid_t type, std::uint64_t count);
// Opens one that create_dataset made; not ok() when it has another shape or element type.
[[nodiscard]] Dataset open_dataset(const File& file, const char* name, hid_t type, std::uint64_t count);
// Creation and access properties of a new file that holds no time stamp.
[[nodiscard]] Properties file_creation();

}  // namespace ufab::hdf5
