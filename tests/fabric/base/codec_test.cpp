#include "fabric/base/codec.h"

#include <gtest/gtest.h>

namespace ufab {
namespace {

TEST(Codec, AReaderReturnsWhatAWriterWrote) {
  Writer writer;
  writer.u8(7);
  writer.u16(0x1234);
  writer.u32(0xdeadbeef);
  writer.u64(0x0123456789abcdef);
  writer.flag(true);
  writer.text("grüß");
  Reader reader(writer.bytes());
  EXPECT_EQ(reader.u8(), 7);
  EXPECT_EQ(reader.u16(), 0x1234);
  EXPECT_EQ(reader.u32(), 0xdeadbeef);
  EXPECT_EQ(reader.u64(), 0x0123456789abcdefULL);
  EXPECT_TRUE(reader.flag());
  EXPECT_EQ(reader.text(16), "grüß");
  EXPECT_TRUE(reader.finish("value").ok());
}

TEST(Codec, IntegersAreLittleEndian) {
  Writer writer;
  writer.u32(0x01020304);
  EXPECT_EQ(to_hex(writer.bytes()), "04030201");
}

TEST(Codec, EveryPrefixOfAnEncodingIsRefused) {
  Writer writer;
  writer.u16(3);
  writer.text("abc");
  writer.flag(false);
  for (std::size_t size = 0; size < writer.bytes().size(); ++size) {
    Reader reader(ByteView(writer.bytes()).first(size));
    reader.u16();
    reader.text(10);
    reader.flag();
    EXPECT_FALSE(reader.finish("value").ok()) << size;
  }
}

TEST(Codec, BytesLeftOverAreRefused) {
  const Bytes bytes{1, 2};
  Reader reader(bytes);
  reader.u8();
  const Status status = reader.finish("value");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "value has 1 bytes too many");
}

TEST(Codec, AFlagHasOneEncodingOnly) {
  const Bytes bytes{2};
  Reader reader(bytes);
  reader.flag();
  EXPECT_FALSE(reader.finish("value").ok());
}

TEST(Codec, AHostileCountReservesNothing) {
  const Bytes bytes{0xff, 0xff, 0xff, 0x7f, 0, 0};
  Reader reader(bytes);
  EXPECT_EQ(reader.count(0xffffffff, 32), 0U);
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace ufab
