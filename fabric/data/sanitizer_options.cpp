// Compiled into every program that links MPI, in sanitizer builds only: Open MPI's plug-ins keep memory and
// are unloaded before the leak sanitizer could name them, so leaks are looked for in the other programs. An
// environment variable would not reach a job's own processes.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}
