// hold-thread TID: keeps a thread of another process from running, as a debugger does, until standard input ends.
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  pid_t thread = argc == 2 ? atoi(argv[1]) : 0;
  int status;
  if (thread <= 0 || ptrace(PTRACE_SEIZE, thread, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, thread, 0, 0) < 0 ||
      waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status)) {
    perror("hold-thread");
    return 1;
  }
  puts("held");
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  // The kernel lets go of the thread when its tracer ends.
  return 0;
}
