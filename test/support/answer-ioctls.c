// answer-ioctls ERRNO REQUEST... -- COMMAND...: runs a command for which the kernel answers these ioctls with this errno.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 8

int main(int argc, char** argv) {
  struct sock_filter code[4 + MOST + 2];
  int requests = 0, at = 2, length = 0;

  for (; at < argc && strcmp(argv[at], "--") != 0; at++) requests++;
  if (requests == 0 || requests > MOST || at + 1 >= argc) return 2;
  code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, requests + 1);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]));
  for (int i = 0; i < requests; i++) {
    unsigned request = strtoul(argv[2 + i], 0, 0);
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, requests - i, 0);
  }
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(argv[1]));

  struct sock_fprog program = {.len = length, .filter = code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
    perror("seccomp");
    return 3;
  }
  execvp(argv[at + 1], argv + at + 1);
  perror(argv[at + 1]);
  return 4;
}
