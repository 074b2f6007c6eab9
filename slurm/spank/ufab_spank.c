/* ufab-spank.so: the fabric's part in Slurm's job launch (spank(8)). A line of plugstack.conf loads it:
 *
 *   optional ufab-spank.so [spool=DIR]
 *
 * For users of srun, sbatch and salloc:
 *   --ufab-job=N        this step belongs to the fabric's job N: UFAB_JOB_ID is set for its tasks
 *   --ufab-budget=UNC   UFAB_BUDGET is set, for an `ufab submit` inside
 * On the nodes, for every task: UFAB_SLURM_CLUSTER, UFAB_SLURM_JOB and UFAB_SLURM_STEP name it; and when it ends, a line
 * of "ufab.task/1" goes to DIR/tasks-NODE.log: {"schema", "cluster", "job_id", "step", "task", "user", "exit_code",
 * "signal", "cpu_us", "max_rss_kib", "end_s"}. Processor time and memory are those of the processes that the task waited
 * for, as wait4(2) counts them.
 *
 * `optional`, and every function on the nodes returns success whatever happens: a failure here neither fails a job nor
 * drains a node. Values of options are checked where the user stands, and refused there in one line.
 *
 * Built against Slurm's spank.h (GPL-2.0-or-later) and loaded by Slurm: this object, unlike the rest of the project, is
 * distributed under GPL-2.0-or-later together with Slurm.
 */
#include <ctype.h>
#include <fcntl.h>
#include <slurm/slurm_version.h>
#include <slurm/spank.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

SPANK_PLUGIN(ufab, 1)

enum { text_size = 64, path_size = 1024 };

static char job_text[text_size];    /* --ufab-job */
static char budget_text[text_size]; /* --ufab-budget */
static char spool[path_size];       /* spool=DIR */

static int is_number(const char* text, int decimals) {
  size_t digits = 0;
  while (isdigit((unsigned char)*text)) {
    ++text;
    ++digits;
  }
  if (digits == 0 || digits > 15) return 0;
  if (decimals > 0 && *text == '.') {
    size_t fraction = 0;
    ++text;
    while (isdigit((unsigned char)*text)) {
      ++text;
      ++fraction;
    }
    if (fraction == 0 || fraction > (size_t)decimals) return 0;
  }
  return *text == '\0';
}

static int take_job(int value, const char* argument, int remote) {
  (void)value;
  if (argument == NULL || !is_number(argument, 0) || strtoull(argument, NULL, 10) == 0) {
    if (remote) return 0;
    slurm_error("--ufab-job: '%s' is no job number", argument == NULL ? "" : argument);
    return -1;
  }
  snprintf(job_text, sizeof job_text, "%s", argument);
  return 0;
}

static int take_budget(int value, const char* argument, int remote) {
  (void)value;
  if (argument == NULL || !is_number(argument, 6)) {
    if (remote) return 0;
    slurm_error("--ufab-budget: '%s' is not an amount in UNC such as 25 or 0.5", argument == NULL ? "" : argument);
    return -1;
  }
  snprintf(budget_text, sizeof budget_text, "%s", argument);
  return 0;
}

static struct spank_option options[] = {
    {"ufab-job", "N", "this step belongs to job N of the fabric", 1, 0, take_job},
    {"ufab-budget", "UNC", "budget for what is submitted to the fabric inside", 1, 0, take_budget},
};

int slurm_spank_init(spank_t sp, int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "spool=", 6) == 0) snprintf(spool, sizeof spool, "%s", argv[i] + 6);
  }
  const spank_context_t context = spank_context();
  if (context == S_CTX_SLURMD || context == S_CTX_JOB_SCRIPT) return 0;
  for (size_t i = 0; i < sizeof options / sizeof options[0]; ++i) {
    if (spank_option_register(sp, &options[i]) != ESPANK_SUCCESS)
      slurm_debug("ufab: option --%s is not available", options[i].name);
  }
  return 0;
}

/* In srun, sbatch and salloc: what is given there reaches the job through its environment. */
int slurm_spank_init_post_opt(spank_t sp, int argc, char** argv) {
  (void)sp;
  (void)argc;
  (void)argv;
  if (spank_context() == S_CTX_REMOTE) return 0;
  if (job_text[0] != '\0') setenv("UFAB_JOB_ID", job_text, 1);
  if (budget_text[0] != '\0') setenv("UFAB_BUDGET", budget_text, 1);
  return 0;
}

static void set_number(spank_t sp, const char* name, uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  if (spank_setenv(sp, name, text, 1) != ESPANK_SUCCESS) slurm_debug("ufab: %s was not set", name);
}

int slurm_spank_task_init(spank_t sp, int argc, char** argv) {
  uint32_t job = 0;
  uint32_t step = 0;
  (void)argc;
  (void)argv;
  if (spank_get_item(sp, S_JOB_ID, &job) == ESPANK_SUCCESS) set_number(sp, "UFAB_SLURM_JOB", job);
  if (spank_get_item(sp, S_JOB_STEPID, &step) == ESPANK_SUCCESS) set_number(sp, "UFAB_SLURM_STEP", step);
  char cluster[text_size];
  if (spank_getenv(sp, "SLURM_CLUSTER_NAME", cluster, sizeof cluster) == ESPANK_SUCCESS)
    spank_setenv(sp, "UFAB_SLURM_CLUSTER", cluster, 1);
  if (job_text[0] != '\0') spank_setenv(sp, "UFAB_JOB_ID", job_text, 1);
  if (budget_text[0] != '\0') spank_setenv(sp, "UFAB_BUDGET", budget_text, 1);
  return 0;
}

static uint64_t microseconds(struct timeval time) {
  return (uint64_t)time.tv_sec * 1000000U + (uint64_t)time.tv_usec;
}

/* slurmstepd waits for its tasks itself, so RUSAGE_CHILDREN grows by each of them; the difference to the last look is
 * this task's. */
int slurm_spank_task_exit(spank_t sp, int argc, char** argv) {
  static uint64_t cpu_before_us;
  (void)argc;
  (void)argv;
  if (spool[0] == '\0') return 0;
  struct rusage usage;
  if (getrusage(RUSAGE_CHILDREN, &usage) != 0) return 0;
  const uint64_t cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
  uint32_t job = 0;
  uint32_t step = 0;
  uint32_t task = 0;
  uid_t user = 0;
  int status = 0;
  spank_get_item(sp, S_JOB_ID, &job);
  spank_get_item(sp, S_JOB_STEPID, &step);
  spank_get_item(sp, S_TASK_GLOBAL_ID, &task);
  spank_get_item(sp, S_JOB_UID, &user);
  spank_get_item(sp, S_TASK_EXIT_STATUS, &status);
  char node[text_size] = "";
  char cluster[text_size] = "";
  spank_getenv(sp, "SLURMD_NODENAME", node, sizeof node);
  spank_getenv(sp, "SLURM_CLUSTER_NAME", cluster, sizeof cluster);
  for (char* c = node; *c != '\0'; ++c) {
    if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != '.') *c = '_';
  }
  for (char* c = cluster; *c != '\0'; ++c) {
    if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != '.') *c = '_';
  }
  char line[512];
  const int size = snprintf(
      line, sizeof line,
      "{\"schema\":\"ufab.task/1\",\"cluster\":\"%s\",\"job_id\":%u,\"step\":%u,\"task\":%u,\"user\":%u,\"exit_code\":%d,"
      "\"signal\":%d,\"cpu_us\":%llu,\"max_rss_kib\":%ld,\"end_s\":%lld}\n",
      cluster, job, step, task, (unsigned)user, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
      WIFSIGNALED(status) ? WTERMSIG(status) : 0, (unsigned long long)(cpu_us - cpu_before_us), usage.ru_maxrss,
      (long long)time(NULL));
  cpu_before_us = cpu_us;
  if (size <= 0 || (size_t)size >= sizeof line) return 0;
  char path[path_size + text_size + 16];
  snprintf(path, sizeof path, "%s/tasks-%s.log", spool, node[0] != '\0' ? node : "node");
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) return 0;
  if (write(file, line, (size_t)size) != size) slurm_debug("ufab: %s: not written", path);
  close(file);
  return 0;
}
