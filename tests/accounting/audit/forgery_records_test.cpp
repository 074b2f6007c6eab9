// What an auditor finds in a bundle in which a record was changed, moved, repeated or made up, by somebody
// who has the key of whoever made that block.
#include <gtest/gtest.h>

#include <set>

#include "tests/accounting/support/forgery.h"

namespace ufab::test {
namespace {

std::string name_of(const Place& place, RecordType type) {
  return "block " + std::to_string(place.block) + " record " + std::to_string(place.record) + " (" +
         record_type_name(type) + "): ";
}

// One bit of its body (or, if it has none, of its time) that leaves it a record.
Bytes changed(const Bytes& encoding) {
  const Record before = *decode_record(encoding);
  for (const bool time_too : {false, true}) {
    for (std::size_t i = encoding.size(); i-- > 0;) {
      Bytes bytes = encoding;
      bytes[i] ^= 1;
      const auto after = decode_record(bytes);
      if (after.ok() && after->type() == before.type() && after->signer == before.signer &&
          after->sequence == before.sequence && after->signature == before.signature &&
          (time_too || after->time_us == before.time_us))
        return bytes;
    }
  }
  ADD_FAILURE() << "no change is possible";
  return encoding;
}

TEST(ForgedBundle, AnHonestOneIsAcceptedWhereverItLies) {
  const Honest& honest = Honest::get();
  const Folder folder(memory_folder());
  write_log(folder.path("home"), honest.world.blocks());
  const auto made = audit_bundle(folder.path("home"), folder.path("bundle"));
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_FALSE(audit_bundle(folder.path("home"), folder.path("bundle")).ok()) << "nothing is overwritten";
  std::filesystem::rename(folder.path("bundle"), folder.path("elsewhere"));
  std::filesystem::remove_all(folder.path("home"));
  const auto checked = audit_verify_bundle(folder.path("elsewhere"), honest.world.state().chain_id());
  ASSERT_TRUE(checked.ok()) << checked.error().message;
  EXPECT_TRUE(checked->checkpoint_checked);
  EXPECT_EQ(checked->blocks, honest.world.blocks().size());
  EXPECT_EQ(checked->validators, 4U);
  EXPECT_GT(checked->certificates, checked->blocks / 3);
  EXPECT_TRUE(file_exists(folder.path("elsewhere/README.txt")));
  EXPECT_EQ(Forgery().verdict(), "") << "what the tests below write is as good";
  EXPECT_FALSE(audit_verify_bundle(folder.path("elsewhere"), digest_of("another chain")).ok());
}

TEST(ForgedBundle, AChangedRecordOfEveryTypeIsNamedThoughItsBlockIsSealedAnew) {
  std::set<RecordType> tried;
  for (std::uint8_t number = 1; number < 255; ++number) {
    if (!record_type_known(number)) continue;
    const auto type = static_cast<RecordType>(number);
    Forgery forgery;
    const auto place = forgery.find(type);
    if (!place) continue;
    tried.insert(type);
    Bytes& record = forgery.blocks[place->block].records[place->record];
    record = changed(record);
    forgery.reseal(place->block);
    const std::string why =
        record_type_derived(type) ? "the rules derive another record here" : "the signature is wrong";
    EXPECT_TRUE(forgery.verdict().starts_with(name_of(*place, type) + why)) << forgery.verdict();
  }
  for (std::uint8_t number = 1; number < 255; ++number) {
    if (!record_type_known(number)) continue;
    EXPECT_TRUE(tried.contains(static_cast<RecordType>(number)))
        << record_type_name(static_cast<RecordType>(number));
  }
}

struct Change {
  const char* name;
  RecordType type;
  void (*apply)(Forgery&, Place);
  const char* why;  // after the record's name
};

template <class Body, class Edit>
void edit(Forgery& forgery, Place place, Edit change) {
  Record record = *decode_record(forgery.blocks[place.block].records[place.record]);
  change(std::get<Body>(record.body));
  forgery.blocks[place.block].records[place.record] = encode_record(record);
  forgery.reseal(place.block);
}

const Change changes[] = {
    {"minted money", RecordType::reward,
     [](Forgery& f, Place at) { edit<Reward>(f, at, [](Reward& body) { body.amount += 1'000'000; }); },
     "the rules derive another record here (reward)"},
    {"a larger emission", RecordType::epoch,
     [](Forgery& f, Place at) { edit<Epoch>(f, at, [](Epoch& body) { body.emission += 1; }); },
     "the rules derive another record here (epoch)"},
    {"a seat's key", RecordType::epoch,
     [](Forgery& f, Place at) {
       edit<Epoch>(f, at, [](Epoch& body) { body.seats[0].key = key_of(200).public_key(); });
     },
     "the rules derive another record here (epoch)"},
    {"a seat's weight", RecordType::epoch,
     [](Forgery& f, Place at) { edit<Epoch>(f, at, [](Epoch& body) { ++body.seats[1].weight_ppm; }); },
     "the rules derive another record here (epoch)"},
    {"the epoch's seed", RecordType::epoch,
     [](Forgery& f, Place at) { edit<Epoch>(f, at, [](Epoch& body) { body.seed = digest_of("mine"); }); },
     "the rules derive another record here (epoch)"},
    {"a payment", RecordType::settlement,
     [](Forgery& f, Place at) { edit<Settlement>(f, at, [](Settlement& body) { ++body.refund; }); },
     "the rules derive another record here (settlement)"},
    {"a record that the rules derive is gone", RecordType::refusal,
     [](Forgery& f, Place at) {
       auto& records = f.blocks[at.block].records;
       records.erase(records.begin() + static_cast<std::ptrdiff_t>(at.record));
       f.reseal(at.block);
     },
     "it is missing: the rules derive it here"},
    {"signed by a stranger", RecordType::transfer,
     [](Forgery& f, Place at) {
       Bytes& bytes = f.blocks[at.block].records[at.record];
       const Record record = *decode_record(bytes);
       bytes = encode_record(sign_record(f.blocks[0].header.chain_id, key_of(201), record.sequence,
                                         record.time_us, record.body));
       f.reseal(at.block);
     },
     ""},
    {"signed for another chain", RecordType::transfer,
     [](Forgery& f, Place at) {
       Bytes& bytes = f.blocks[at.block].records[at.record];
       const Record record = *decode_record(bytes);
       bytes = encode_record(
           sign_record(digest_of("other"), key_of(5), record.sequence, record.time_us, record.body));
       f.reseal(at.block);
     },
     "the signature is wrong"},
};

TEST(ForgedBundle, AMadeUpRecordIsNamed) {
  for (const Change& change : changes) {
    Forgery forgery;
    const auto place = forgery.find(change.type);
    ASSERT_TRUE(place) << change.name;
    change.apply(forgery, *place);
    EXPECT_TRUE(forgery.verdict().starts_with(name_of(*place, change.type) + change.why))
        << change.name << ": " << forgery.verdict();
  }
}

TEST(ForgedBundle, ARecordReplayedMovedOrAddedIsNamed) {
  const Place at = *Forgery().find(RecordType::transfer);
  const std::string block = "block " + std::to_string(at.block);
  {
    Forgery replayed;
    auto& records = replayed.blocks[at.block].records;
    records.push_back(records[at.record]);
    replayed.reseal(at.block);
    EXPECT_TRUE(replayed.verdict().starts_with(block + " record " + std::to_string(records.size() - 1) +
                                               " (transfer): sequence"))
        << replayed.verdict();
  }
  {
    Forgery moved;  // to the block before
    auto& from = moved.blocks[at.block].records;
    moved.blocks[at.block - 1].records.push_back(from[at.record]);
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(at.record));
    moved.reseal(at.block - 1);
    moved.reseal(at.block);
    EXPECT_TRUE(moved.verdict().starts_with("block " + std::to_string(at.block - 1) + ": "))
        << moved.verdict();
  }
  {
    Forgery alone;  // its block's header says nothing of it
    alone.blocks[at.block].records[at.record] = changed(alone.blocks[at.block].records[at.record]);
    EXPECT_EQ(alone.verdict(), name_of(at, RecordType::transfer) + "the signature is wrong");
  }
  {
    Forgery added;
    added.blocks[at.block].records.push_back(encode_record({{}, 9, 9, Burn{2, 1, "mine"}, {}}));
    added.reseal(at.block);
    EXPECT_NE(added.verdict().find(block + " record "), std::string::npos) << added.verdict();
  }
}

}  // namespace
}  // namespace ufab::test
