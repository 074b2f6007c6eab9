// The VRF against the published vectors, against a second prover that may cheat, and against noise.
#include "accounting/hpos/vrf.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sodium.h>

#include "accounting/hpos/encode_to_curve.h"
#include "tests/accounting/hpos/vrf_vectors.h"

namespace ufab::vrf {
namespace {

template <typename Array = Point>
Array array_of(std::string_view hex) {
  const Bytes raw = from_hex(hex).value();
  Array array{};
  UFAB_ASSERT(raw.size() == array.size());
  std::copy(raw.begin(), raw.end(), array.begin());
  return array;
}

// Of full size from the first case on, so that it is never all zeros.
template <std::size_t Size>
std::array<std::uint8_t, Size> any_array() {
  const Bytes raw =
      *rc::gen::resize(rc::kNominalSize, rc::gen::container<Bytes>(Size, rc::gen::arbitrary<std::uint8_t>()));
  std::array<std::uint8_t, Size> array;
  std::copy(raw.begin(), raw.end(), array.begin());
  return array;
}

Suite any_suite() {
  return *rc::gen::element(Suite::tai, Suite::ell2);
}

Scalar sum(const Scalar& a, const Scalar& b) {
  Scalar result;
  crypto_core_ed25519_scalar_add(result.data(), a.data(), b.data());
  return result;
}

Scalar product(const Scalar& a, const Scalar& b) {
  Scalar result;
  crypto_core_ed25519_scalar_mul(result.data(), a.data(), b.data());
  return result;
}

Scalar secret_scalar(const KeyPair& pair) {
  const auto seed = pair.seed();
  Sha512 hash;
  sha512(hash, {seed});
  Scalar x;
  std::copy_n(hash.begin(), 32, x.begin());
  x[0] &= 248;
  x[31] = static_cast<std::uint8_t>((x[31] & 127) | 64);
  return x;
}

struct Parts {
  Point gamma{};
  Scalar c{};
  Scalar s{};
};

Proof encode(const Parts& parts) {
  Proof proof;
  std::copy_n(parts.gamma.begin(), 32, proof.bytes.begin());
  std::copy_n(parts.c.begin(), 16, proof.bytes.begin() + 32);
  std::copy_n(parts.s.begin(), 32, proof.bytes.begin() + 48);
  return proof;
}

Parts decode(const Proof& proof) {
  Parts parts;
  std::copy_n(proof.bytes.begin(), 32, parts.gamma.begin());
  std::copy_n(proof.bytes.begin() + 32, 16, parts.c.begin());
  std::copy_n(proof.bytes.begin() + 48, 32, parts.s.begin());
  return parts;
}

Scalar challenge(Suite suite, const Point& key, const Point& h, const Point& gamma, const Point& u,
                 const Point& v) {
  const std::array<std::uint8_t, 2> front{static_cast<std::uint8_t>(suite), 2};
  const std::array<std::uint8_t, 1> back{0};
  Sha512 hash;
  sha512(hash, {front, key, h, gamma, u, v, back});
  Scalar c{};
  std::copy_n(hash.begin(), 16, c.begin());
  return c;
}

// RFC 9381 section 5.1 with a Gamma and a nonce of the prover's own choice.
Parts prove_freely(Suite suite, const PublicKey& key, const Scalar& x, const Point& h, const Point& gamma,
                   const Scalar& k) {
  const Scalar c = challenge(suite, key.bytes, h, gamma, times_base(k), times(k, h));
  return {gamma, c, sum(k, product(c, x))};
}

// The eight points of small order, the identity first.
std::vector<Point> small_order_points() {
  const Point generator = array_of("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
  std::vector<Point> points{identity};
  while (points.size() < 8) points.push_back(add(points.back(), generator));
  EXPECT_EQ(add(points.back(), generator), identity);
  return points;
}

// Second encodings that RFC 8032 section 5.1.3 refuses: y of 0 to 18 plus p, with either sign, and a sign
// where x = 0. Those of points of the curve among them would decode if the encoding were not checked.
std::vector<Point> non_canonical_encodings() {
  std::vector<Point> encodings;
  for (std::uint8_t y = 0; y < 19; ++y) {
    Point point;
    point.fill(0xFF);
    point[0] = static_cast<std::uint8_t>(0xED + y);
    encodings.push_back(point);
    point[31] = 0x7F;
    encodings.push_back(point);
  }
  Point one = identity;
  one[31] = 0x80;
  encodings.push_back(one);
  encodings.push_back(array_of("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"));
  return encodings;
}

TEST(Vrf, MatchesEveryEdwardsVectorOfRfc9381) {
  for (const Rfc9381Vector& vector : rfc9381_vectors) {
    SCOPED_TRACE(vector.example);
    const KeyPair pair = KeyPair::from_seed(array_of(vector.sk));
    const PublicKey& key = pair.public_key();
    const Bytes alpha = from_hex(vector.alpha).value();
    EXPECT_EQ(key.hex(), vector.pk);
    const Point h = encode_to_curve(vector.suite, key, alpha);
    EXPECT_EQ(to_hex(h), vector.h);
    const Proof proof = prove(pair, alpha, vector.suite);
    EXPECT_EQ(to_hex(proof.bytes), vector.pi);
    const auto output = verify(key, alpha, proof, vector.suite);
    ASSERT_TRUE(output.ok());
    EXPECT_EQ(to_hex(output->bytes), vector.beta);
    EXPECT_EQ(proof_to_hash(proof, vector.suite).value(), *output);

    // What the verifier computes inside, and the prover of this test.
    const auto [gamma, c, s] = decode(proof);
    EXPECT_EQ(to_hex(subtract(times_base(s), times(c, key.bytes))), vector.u);
    EXPECT_EQ(to_hex(subtract(times(s, h), times(c, gamma))), vector.v);
    const Scalar x = array_of(vector.x);
    EXPECT_EQ(secret_scalar(pair), x);
    EXPECT_EQ(encode(prove_freely(vector.suite, key, x, h, times(x, h), array_of(vector.k))), proof);
  }
}

TEST(Vrf, MatchesTheHashToCurveVectorsOfRfc9380) {
  for (const Rfc9380Vector& vector : rfc9380_vectors) {
    EXPECT_EQ(to_hex(encode_ell2({}, as_bytes(vector.message),
                                 "QUUX-V01-CS02-with-edwards25519_XMD:SHA-512_ELL2_NU_")),
              vector.p)
        << vector.message;
  }
}

TEST(Vrf, AnOutputIsVerifiedAndNeitherKeyNorInputNorSuiteNorProofCanBeAnother) {
  EXPECT_TRUE(rc::check("roundtrip", [] {
    const KeyPair pair = KeyPair::from_seed(any_array<32>());
    const Suite suite = any_suite();
    const Bytes alpha = *rc::gen::arbitrary<Bytes>();
    const Proof proof = prove(pair, alpha, suite);
    RC_ASSERT(prove(pair, alpha, suite) == proof);
    const auto output = verify(pair.public_key(), alpha, proof, suite);
    RC_ASSERT(output.ok());
    RC_ASSERT(proof_to_hash(proof, suite).value() == *output);

    const Suite other = suite == Suite::tai ? Suite::ell2 : Suite::tai;
    RC_ASSERT(!verify(pair.public_key(), alpha, proof, other).ok());
    RC_ASSERT(proof_to_hash(prove(pair, alpha, other), other).value() != *output);
    Proof bent = proof;
    const auto bit = *rc::gen::inRange<std::size_t>(0, 640);
    bent.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    RC_ASSERT(!verify(pair.public_key(), alpha, bent, suite).ok());
    PublicKey wrong = pair.public_key();
    const auto key_bit = *rc::gen::inRange<std::size_t>(0, 256);
    wrong.bytes[key_bit / 8] ^= static_cast<std::uint8_t>(1U << key_bit % 8);
    RC_ASSERT(!verify(wrong, alpha, proof, suite).ok());
    Bytes longer = alpha;
    longer.push_back(*rc::gen::arbitrary<std::uint8_t>());
    RC_ASSERT(!verify(pair.public_key(), longer, proof, suite).ok());
    if (!alpha.empty()) {
      Bytes changed = alpha;
      const auto alpha_bit = *rc::gen::inRange<std::size_t>(0, 8 * alpha.size());
      changed[alpha_bit / 8] ^= static_cast<std::uint8_t>(1U << alpha_bit % 8);
      RC_ASSERT(!verify(pair.public_key(), changed, proof, suite).ok());
    }
  }));
}

TEST(Vrf, EveryFlippedBitOfAProofOrAKeyIsRefused) {
  const Rfc9381Vector& vector = rfc9381_vectors[1];
  const PublicKey key{array_of(vector.pk)};
  const Bytes alpha = from_hex(vector.alpha).value();
  const Proof proof{array_of<std::array<std::uint8_t, 80>>(vector.pi)};
  ASSERT_TRUE(verify(key, alpha, proof).ok());
  for (std::size_t bit = 0; bit < 640; ++bit) {
    Proof bent = proof;
    bent.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(verify(key, alpha, bent).ok()) << bit;
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {
    PublicKey bent = key;
    bent.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(verify(bent, alpha, proof).ok()) << bit;
  }
}

TEST(Vrf, ManyProofsOfOneInputHaveOneOutput) {
  EXPECT_TRUE(rc::check("unique", [] {
    const KeyPair pair = KeyPair::from_seed(any_array<32>());
    const Suite suite = any_suite();
    const Bytes alpha = *rc::gen::arbitrary<Bytes>();
    const Proof honest = prove(pair, alpha, suite);
    const Scalar x = secret_scalar(pair);
    const Point h = encode_to_curve(suite, pair.public_key(), alpha);
    Scalar k;
    crypto_core_ed25519_scalar_reduce(k.data(), any_array<64>().data());
    const Proof again = encode(prove_freely(suite, pair.public_key(), x, h, times(x, h), k));
    RC_ASSERT(again != honest);
    RC_ASSERT(verify(pair.public_key(), alpha, again, suite).value() == proof_to_hash(honest, suite).value());
    // With any other Gamma the owner of the key itself finds no proof.
    const Point other = times_base(k);
    RC_ASSERT(!verify(pair.public_key(), alpha,
                      encode(prove_freely(suite, pair.public_key(), x, h, other, k)), suite)
                   .ok());
    // Nor with the honest Gamma and another s.
    Parts parts = decode(honest);
    parts.s = sum(parts.s, k);
    RC_ASSERT(!verify(pair.public_key(), alpha, encode(parts), suite).ok());
  }));
}

TEST(Vrf, AProofsScalarIsBelowTheGroupsOrder) {
  const KeyPair pair = KeyPair::from_seed(array_of(rfc9381_vectors[0].sk));
  const Proof proof = prove(pair, as_bytes("epoch"));
  ASSERT_TRUE(verify(pair.public_key(), as_bytes("epoch"), proof).ok());
  Parts parts = decode(proof);
  const Scalar order = array_of("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  for (int i = 1; i <= 14; ++i) {  // the same scalar modulo the order, up to 2^256
    sodium_add(parts.s.data(), order.data(), order.size());
    const auto output = verify(pair.public_key(), as_bytes("epoch"), encode(parts));
    ASSERT_FALSE(output.ok()) << i;
    EXPECT_EQ(output.error().code, ErrorCode::invalid);
    EXPECT_EQ(output.error().message, "VRF proof: s is not below the group's order");
    EXPECT_FALSE(proof_to_hash(encode(parts)).ok());
  }
  for (const Scalar& edge : {order, Scalar{}}) {
    parts.s = edge;
    EXPECT_FALSE(verify(pair.public_key(), as_bytes("epoch"), encode(parts)).ok());
  }
  // A challenge of zero divides nothing and crashes nothing.
  parts = decode(proof);
  parts.c = {};
  EXPECT_FALSE(verify(pair.public_key(), as_bytes("epoch"), encode(parts)).ok());
}

TEST(Vrf, KeysAndGammasOfSmallOrderAreRefused) {
  const KeyPair pair = KeyPair::from_seed(array_of(rfc9381_vectors[0].sk));
  const Point h = encode_to_curve(Suite::tai, pair.public_key(), as_bytes("epoch"));
  const Scalar x = secret_scalar(pair);
  const Scalar k = array_of(rfc9381_vectors[0].k);
  for (const Point& point : small_order_points()) {
    // Of a key of small order the secret scalar is no secret: 0 serves for the identity.
    const PublicKey key{point};
    const Point its_h = encode_to_curve(Suite::tai, key, as_bytes("epoch"));
    const Proof forged = encode(prove_freely(Suite::tai, key, Scalar{}, its_h, point, k));
    EXPECT_EQ(verify(key, as_bytes("epoch"), forged).error().message, "not an acceptable Ed25519 public key");
    const Proof small = encode(prove_freely(Suite::tai, pair.public_key(), x, h, point, k));
    EXPECT_EQ(verify(pair.public_key(), as_bytes("epoch"), small).error().message,
              "VRF proof: Gamma is no point of the prime-order group");
    EXPECT_FALSE(proof_to_hash(small).ok());
  }
}

TEST(Vrf, NonCanonicalKeysAndGammasAreRefused) {
  const KeyPair pair = KeyPair::from_seed(array_of(rfc9381_vectors[0].sk));
  Parts parts = decode(prove(pair, as_bytes("epoch")));
  for (const Point& encoding : non_canonical_encodings()) {
    EXPECT_FALSE(on_curve(encoding)) << to_hex(encoding);
    EXPECT_FALSE(verify(PublicKey{encoding}, as_bytes("epoch"), encode(parts)).ok());
    Parts bent = parts;
    bent.gamma = encoding;
    EXPECT_FALSE(verify(pair.public_key(), as_bytes("epoch"), encode(bent)).ok());
    EXPECT_FALSE(proof_to_hash(encode(bent)).ok());
  }
}

// A point of small order added to Gamma: where its order divides c, the equation of RFC 9381 section 5.3
// holds, and a prover finds such a c after a few nonces. The output would be the same; here the proof is
// refused. A part of order 2 is what libsodium's check let through before CVE-2025-69277 was mended.
TEST(Vrf, AGammaOrKeyWithAPartOfSmallOrderIsRefusedEvenWhereTheEquationHolds) {
  const KeyPair pair = KeyPair::from_seed(array_of(rfc9381_vectors[0].sk));
  const Proof honest = prove(pair, as_bytes("epoch"));
  const Point h = encode_to_curve(Suite::tai, pair.public_key(), as_bytes("epoch"));
  const Scalar x = secret_scalar(pair);
  const std::vector<Point> small = small_order_points();
  for (std::size_t i = 1; i < small.size(); ++i) {
    const Point gamma = add(times(x, h), small[i]);
    EXPECT_EQ(times_cofactor(gamma), times_cofactor(decode(honest).gamma));
    Parts parts;
    Scalar k{1};
    do {
      parts = prove_freely(Suite::tai, pair.public_key(), x, h, gamma, k);
      sodium_increment(k.data(), k.size());
    } while (parts.c[0] % 8 != 0);
    EXPECT_EQ(verify(pair.public_key(), as_bytes("epoch"), encode(parts)).error().message,
              "VRF proof: Gamma is no point of the prime-order group");
    const PublicKey mixed{add(pair.public_key().bytes, small[i])};
    EXPECT_EQ(verify(mixed, as_bytes("epoch"), honest).error().message,
              "not an acceptable Ed25519 public key");
  }
}

TEST(Vrf, NoiseIsRefused) {
  const KeyPair pair = KeyPair::from_seed(array_of(rfc9381_vectors[0].sk));
  EXPECT_TRUE(rc::check("noise", [&] {
    const Suite suite = any_suite();
    const Bytes alpha = *rc::gen::arbitrary<Bytes>();
    Proof proof{any_array<80>()};
    RC_ASSERT(!verify(PublicKey{any_array<32>()}, alpha, proof, suite).ok());
    RC_ASSERT(!verify(pair.public_key(), alpha, proof, suite).ok());
    // Well-formed noise: a point of the group and a reduced scalar.
    Parts parts = decode(proof);
    crypto_core_ed25519_scalar_reduce(parts.s.data(), any_array<64>().data());
    parts.gamma = times_base(parts.s);
    RC_ASSERT(proof_to_hash(encode(parts), suite).ok());
    RC_ASSERT(!verify(pair.public_key(), alpha, encode(parts), suite).ok());
  }));
}

TEST(Vrf, PointsOfBothEncodingsAreInTheGroupOfPrimeOrder) {
  EXPECT_TRUE(rc::check("in group", [] {
    const PublicKey key{any_array<32>()};  // as the salt any bytes do
    RC_ASSERT(in_group(encode_to_curve(any_suite(), key, *rc::gen::arbitrary<Bytes>())));
  }));
}

}  // namespace
}  // namespace ufab::vrf
