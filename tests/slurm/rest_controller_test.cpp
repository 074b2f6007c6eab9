// Submission through slurmrestd: what it is sent and what its answers mean. The answers are those of
// slurmrestd 22.05.8.
#include "slurm/rest_controller.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "tests/accounting/support/folder.h"
#include "tests/fabric/net/http_server.h"
#include "tests/slurm/sample_request.h"

namespace ufab::slurm {
namespace {

namespace json = boost::json;

jobs::RunRequest request() {
  jobs::RunRequest run = test::sample_request();
  run.nodes = 2;
  run.environment = {{"SECRET", "s3cret"}};
  return run;
}

constexpr const char* accepted =
    R"({"meta":{},"errors":[],"job_id":17,"step_id":"BATCH","job_submit_user_msg":""})";

TEST(RestJob, AsksForWhatSbatchIsAskedFor) {
  const std::string text =
      rest_job({"", "gpu", "proj", "", "night"}, request(), "ufab:0:job-7-1:1", "#!/bin/sh\n");
  EXPECT_EQ(text.find("s3cret"), std::string::npos) << "variables travel in a file of 0600";
  const json::object body = json::parse(text).as_object();
  EXPECT_EQ(body.at("script").as_string(), "#!/bin/sh\n");
  const json::value expected = json::parse(R"({
    "name":"ufab:0:job-7-1:1","no_requeue":true,"comment":"train gpt ","environment":{"UFAB_RUN":"job-7-1"},
    "tasks":3,"cpus_per_task":2,"nodes":[2,2],"memory_per_cpu":167,"time_limit":2,"signal":"10@90",
    "current_working_directory":"/home/ada/100%","standard_input":"/dev/null",
    "standard_output":"/home/ada/100%%/out","standard_error":"/home/ada/100%%/out","open_mode":"truncate",
    "partition":"gpu","account":"proj","reservation":"night"})");
  EXPECT_EQ(body.at("job"), expected) << text;
}

TEST(RestOutcome, AJobIdIsWhatCounts) {
  EXPECT_EQ(std::get<Accepted>(rest_outcome({200, accepted})).job, 17U);
  // A remark about a job that was accepted.
  const auto with_remark = rest_outcome(
      {200,
       R"j({"errors":[{"error_code":2014,"error":"Required node not available (down, drained or reserved)"}],"job_id":2})j"});
  EXPECT_EQ(std::get<Accepted>(with_remark).job, 2U);
}

TEST(RestOutcome, TellsARefusalFromDoubt) {
  const auto refused = [](unsigned status, const char* body) {
    return std::holds_alternative<Refused>(rest_outcome({status, body}));
  };
  const auto unanswered = [](unsigned status, const char* body) {
    return std::holds_alternative<Unanswered>(rest_outcome({status, body}));
  };
  EXPECT_TRUE(refused(500, R"({"errors":[{"error_code":2000,"error":"Invalid partition name specified"}]})"));
  EXPECT_TRUE(refused(400, R"({"errors":[{"error_code":-1,"error":"Invalid SIGNAL specification"}]})"));
  EXPECT_TRUE(unanswered(
      500,
      R"j({"errors":[{"error_code":1800,"error":"Unable to contact slurm controller (connect failure)"}]})j"));
  EXPECT_TRUE(unanswered(401, "Authentication failure"));
  EXPECT_TRUE(unanswered(502, "<html>a proxy</html>"));
  EXPECT_TRUE(unanswered(200, R"({"errors":[],"job_id":0})"));
  EXPECT_TRUE(unanswered(200, R"({"errors":{},"job_id":"17"})"));
  EXPECT_TRUE(unanswered(200, R"([])"));
  EXPECT_TRUE(unanswered(200, ""));
}

// Stands in for Slurm's commands and counts what they are asked.
class Commands final : public Controller {
 public:
  explicit Commands(int& submits) : submits_(submits) {}
  SubmitOutcome submit(const jobs::RunRequest&, const std::string&, const std::string&) override {
    ++submits_;
    return Accepted{99};
  }
  Result<std::vector<SlurmJob>> queue(const std::set<std::string>&) override {
    return std::vector<SlurmJob>(3);
  }
  Result<std::vector<SlurmJob>> accounts(std::span<const std::string>, std::int64_t) override {
    return std::vector<SlurmJob>(2);
  }
  Status cancel(std::uint64_t job) override { return Error{ErrorCode::conflict, std::to_string(job)}; }

 private:
  int& submits_;
};

TEST(RestController, SubmitsWithTheTokenAndLeavesTheRestToSlurmsCommands) {
  const ufab::test::Folder folder;
  const std::string token_file = folder.path("token");
  std::ofstream(token_file) << "SLURM_JWT=abc.def\n";
  ufab::test::HttpServer server(200, accepted);
  int submits = 0;
  const auto controller =
      make_rest_controller({server.address(), token_file}, {}, std::make_unique<Commands>(submits));
  EXPECT_EQ(std::get<Accepted>(controller->submit(request(), "tag", "script")).job, 17U);
  EXPECT_EQ(submits, 0);
  const std::string asked = server.last_request();
  EXPECT_TRUE(asked.starts_with("POST /slurm/v0.0.38/job/submit HTTP/1.1\r\n")) << asked;
  EXPECT_NE(asked.find("X-SLURM-USER-TOKEN: abc.def\r\n"), std::string::npos);
  EXPECT_NE(asked.find("X-SLURM-USER-NAME: "), std::string::npos);

  jobs::RunRequest shell_only = request();
  shell_only.warn_shell_only = true;  // slurmrestd has no word for it
  EXPECT_EQ(std::get<Accepted>(controller->submit(shell_only, "tag", "script")).job, 99U);
  EXPECT_EQ(submits, 1);
  jobs::RunRequest of_another = request();
  of_another.user = jobs::RunUser{};  // the token is the node's own
  EXPECT_EQ(std::get<Accepted>(controller->submit(of_another, "tag", "script")).job, 99U);
  EXPECT_EQ(submits, 2);
  EXPECT_EQ(controller->queue({})->size(), 3U);
  EXPECT_EQ(controller->accounts({}, 0)->size(), 2U);
  EXPECT_EQ(controller->cancel(5).error().message, "5");

  std::ofstream(token_file, std::ios::trunc) << "abc\x01";
  EXPECT_TRUE(std::holds_alternative<Unanswered>(controller->submit(request(), "tag", "script")));
  std::filesystem::remove(token_file);
  EXPECT_TRUE(std::holds_alternative<Unanswered>(controller->submit(request(), "tag", "script")));
}

TEST(RestController, ASilentOrAbsentServerLeavesDoubt) {
  int submits = 0;
  const auto controller =
      make_rest_controller({"unix:/nonexistent/socket", ""}, {}, std::make_unique<Commands>(submits));
  EXPECT_TRUE(std::holds_alternative<Unanswered>(controller->submit(request(), "tag", "script")));
  EXPECT_EQ(submits, 0);
}

}  // namespace
}  // namespace ufab::slurm
