// The supervisor alone, for tests of the batch system that need no node.
#include "jobs/batch/shepherd.h"

int main(int argc, char** argv) {
  return argc == 3 ? ufab::jobs::shepherd_main(argv[2]) : 2;
}
