// The canonical encoding: golden bytes of every record type, and what the decoder refuses.
#include "accounting/records/record.h"

#include <gtest/gtest.h>

#include <functional>

#include "accounting/records/codec.h"
#include "tests/accounting/support/golden.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

// Gives every field of a body a value of its own, so that no two fields can be swapped unnoticed.
class FillVisitor {
 public:
  template <class T>
  void operator()(const char*, T& value) {
    fill(value);
  }
  void operator()(const char* name, std::string& value, std::size_t size_max) {
    value = std::string_view(name).substr(0, size_max);
  }
  template <class T>
  void operator()(const char*, std::vector<T>& list, std::size_t count_max) {
    list.resize(std::min<std::size_t>(2, count_max));
    for (T& item : list) fill(item);
  }
  template <class T>
  requires std::is_enum_v<T>
  void operator()(const char*, T& value, std::uint8_t last) { value = static_cast<T>(last); }

 private:
  template <class T>
  void fill(T& value) {
    ++counter_;
    if constexpr (std::is_same_v<T, bool>) {
      value = true;
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(counter_);
    } else if constexpr (requires { value.bytes; }) {
      value.bytes.fill(static_cast<std::uint8_t>(counter_));
    } else {
      T::fields(*this, value);
    }
  }
  std::uint64_t counter_ = 0;
};

template <std::size_t I = 0>
void each_type(const std::function<void(RecordBody)>& call) {
  if constexpr (I < std::variant_size_v<RecordBody>) {
    std::variant_alternative_t<I, RecordBody> body{};
    FillVisitor visitor;
    body.fields(visitor, body);
    call(body);
    each_type<I + 1>(call);
  }
}

Record filled(RecordBody body) {
  if (record_type_derived(type_of(body))) return {PublicKey{}, 7, 1'800'000'000'000'000, std::move(body), {}};
  return sign_record(digest_of("golden chain"), key_of(3), 7, 1'800'000'000'000'000, std::move(body));
}

TEST(Record, EveryTypeEncodesToItsGoldenBytes) {
  std::size_t types = 0;
  each_type([&](RecordBody body) {
    const Record record = filled(std::move(body));
    const std::string path = std::string(UFAB_GOLDEN) + "/" + record_type_name(record.type()) + ".hex";
    expect_golden(path, encode_record(record));
    ++types;
  });
  EXPECT_EQ(types, 45U);
}

TEST(Record, EveryTypeDecodesToWhatWasEncoded) {
  each_type([](RecordBody body) {
    const Record record = filled(std::move(body));
    const Bytes bytes = encode_record(record);
    const auto decoded = decode_record(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(encode_record(*decoded), bytes);
    EXPECT_EQ(decoded->type(), record.type());
    if (!record_type_derived(record.type())) {
      EXPECT_TRUE(verify_record(digest_of("golden chain"), *decoded));
      // Only a genesis belongs to no chain: it makes one.
      EXPECT_EQ(verify_record(digest_of("another chain"), *decoded), record.type() == RecordType::genesis);
    }
    EXPECT_NE(record_json(record).find(record_type_name(record.type())), std::string::npos);
  });
}

TEST(Record, TheDecoderRefusesEveryPrefixAndEveryExtraByte) {
  each_type([](RecordBody body) {
    Bytes bytes = encode_record(filled(std::move(body)));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_record(ByteView(bytes).first(size)).ok()) << size;
    }
    bytes.push_back(0);
    EXPECT_FALSE(decode_record(bytes).ok());
  });
}

TEST(Record, WhateverIsDecodedEncodesToTheSameBytes) {
  // Any single changed byte is either refused or another record with exactly that encoding.
  each_type([](RecordBody body) {
    const Bytes bytes = encode_record(filled(std::move(body)));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
        Bytes changed = bytes;
        changed[i] = static_cast<std::uint8_t>(changed[i] ^ flip);
        const auto decoded = decode_record(changed);
        if (decoded.ok()) {
          EXPECT_EQ(encode_record(*decoded), changed);
        }
      }
    }
  });
}

TEST(Record, NamesAndTextsAreChecked) {
  for (const char* name : {"", "-a", "A", "a b", "a/b", "\xc3\xa4"})
    EXPECT_FALSE(check_name("name", name).ok());
  EXPECT_FALSE(check_name("name", std::string(65, 'a')).ok());
  EXPECT_TRUE(check_name("name", "a.b_c-9").ok());
  for (const char* name : {"a", "Job Name", "train: large",
                           "gr\xc3\xb6\xc3\x9f"
                           "er",
                           "7_3"})
    EXPECT_TRUE(check_job_name(name).ok()) << name;
  for (const char* name : {"", "a\nb", "\x1b[1m", "\xff"}) EXPECT_FALSE(check_job_name(name).ok());
  EXPECT_FALSE(check_job_name(std::string(65, 'a')).ok());
  for (const char* key : {"a", "Sweep/12", "2026-11-25T12:00:00"})
    EXPECT_TRUE(check_idempotency_key(key).ok()) << key;
  for (const char* key : {"", "a b", "a\n", "gr\xc3\xb6"}) EXPECT_FALSE(check_idempotency_key(key).ok());
  EXPECT_FALSE(check_idempotency_key(std::string(65, 'a')).ok());
  for (const char* endpoint : {"host", ":1", "host:", "host:0", "host:65536", "a b:1", "host:1x"}) {
    EXPECT_FALSE(check_endpoint("endpoint", endpoint).ok()) << endpoint;
  }
  EXPECT_TRUE(check_endpoint("endpoint", "127.0.0.1:7000").ok());
  EXPECT_TRUE(is_printable_utf8("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80"));
  for (const char* text :
       {"\n", "\x7f", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc2\x80"}) {
    EXPECT_FALSE(is_printable_utf8(text));
  }
}

}  // namespace
}  // namespace ufab::test
