// Encoder and decoder generated from the fields() of a record's body: one list of fields, so that the two
// cannot drift apart. Rules beyond fabric/base/codec.h: an enum above its last value and text that is not
// printable UTF-8 are refused.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "fabric/base/codec.h"
#include "fabric/base/digest.h"
#include "fabric/base/sign.h"

namespace ufab {

// Well-formed UTF-8 (no surrogates, no overlong forms) without control characters.
[[nodiscard]] bool is_printable_utf8(std::string_view text);

// A digest, key, signature or proof: bytes of a fixed number, as they are.
template <class T>
concept FixedBytes = requires(T value) {
  value.bytes.size();
  value.view();
};

class EncodeVisitor {
 public:
  explicit EncodeVisitor(Writer& writer) : writer_(writer) {}

  template <class T>
  void operator()(const char*, const T& value) {
    put(value);
  }
  void operator()(const char*, const std::string& value, std::size_t) { writer_.text(value); }
  template <class T>
  void operator()(const char*, const std::vector<T>& list, std::size_t) {
    writer_.u32(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) put(item);
  }
  template <class T>
  requires std::is_enum_v<T>
  void operator()(const char*, T value, std::uint8_t) { writer_.u8(static_cast<std::uint8_t>(value)); }

 private:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      writer_.flag(value);
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
      writer_.u8(value);
    } else if constexpr (std::is_same_v<T, std::uint16_t>) {
      writer_.u16(value);
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
      writer_.u32(value);
    } else if constexpr (std::is_same_v<T, std::uint64_t>) {
      writer_.u64(value);
    } else if constexpr (FixedBytes<T>) {
      writer_.raw(value.view());
    } else {
      T::fields(*this, value);
    }
  }
  Writer& writer_;
};

class DecodeVisitor {
 public:
  explicit DecodeVisitor(Reader& reader) : reader_(reader) {}

  template <class T>
  void operator()(const char*, T& value) {
    get(value);
  }
  void operator()(const char*, std::string& value, std::size_t size_max) {
    value = reader_.text(size_max);
    if (!is_printable_utf8(value)) reader_.fail("text that is not printable UTF-8");
  }
  template <class T>
  void operator()(const char*, std::vector<T>& list, std::size_t count_max) {
    // Every element of every list takes at least four bytes.
    const std::uint32_t count = reader_.count(count_max, 4);
    list.reserve(std::min<std::size_t>(count, 1024));  // no more on the word of a hostile count
    for (std::uint32_t i = 0; i < count && !reader_.failed(); ++i) get(list.emplace_back());
  }
  template <class T>
  requires std::is_enum_v<T>
  void operator()(const char*, T& value, std::uint8_t last) {
    const std::uint8_t number = reader_.u8();
    if (number > last) reader_.fail("an enumeration value that does not exist");
    value = static_cast<T>(number);
  }

 private:
  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = reader_.flag();
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
      value = reader_.u8();
    } else if constexpr (std::is_same_v<T, std::uint16_t>) {
      value = reader_.u16();
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
      value = reader_.u32();
    } else if constexpr (std::is_same_v<T, std::uint64_t>) {
      value = reader_.u64();
    } else if constexpr (FixedBytes<T>) {
      const ByteView bytes = reader_.raw(value.bytes.size());
      if (bytes.size() == value.bytes.size()) std::copy(bytes.begin(), bytes.end(), value.bytes.begin());
    } else {
      T::fields(*this, value);
    }
  }
  Reader& reader_;
};

// The value that encode_fields() encoded; `what` names it in the error.
template <class T>
[[nodiscard]] Result<T> decode_fields(ByteView bytes, std::string_view what) {
  T value;
  Reader reader(bytes);
  DecodeVisitor visitor(reader);
  T::fields(visitor, value);
  UFAB_TRY(reader.finish(what));
  return value;
}

// The encoding of any value with fields().
template <class T>
[[nodiscard]] Bytes encode_fields(const T& value) {
  Writer writer;
  writer.reserve(256);  // holds a receipt, which is encoded a thousand times a batch
  EncodeVisitor visitor(writer);
  T::fields(visitor, value);
  return writer.take();
}

}  // namespace ufab
