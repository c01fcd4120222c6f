/** Limits of this process, its user or the system that a system call has met. */
import { errnoName } from '../base/errno.ts';
import { IoctlError } from '../base/errors.ts';

/** What a process may have no more of, by the system call that says so and its errno. Sources: getrlimit(2), proc(5). */
const limits: readonly { calls?: readonly string[]; errno: string; limit: string; what: string; advice: string }[] = [
  {
    errno: 'EMFILE',
    limit: 'RLIMIT_NOFILE',
    what: 'this process has as many open files as it may',
    advice: 'Close what is not needed any more, or raise the limit: `ulimit -n`.',
  },
  {
    errno: 'ENFILE',
    limit: 'fs.file-max',
    what: 'the system has as many open files as it may',
    advice: 'Close what is not needed any more, or raise the limit: `sysctl fs.file-max`.',
  },
  {
    calls: ['pthread_create'],
    errno: 'EAGAIN',
    limit: 'RLIMIT_NPROC',
    what: 'no thread can be made',
    advice: 'End threads and processes of this user, or raise the limit: `ulimit -u`, or pids.max of the cgroup.',
  },
  {
    calls: ['mmap', 'malloc', 'pthread_create'],
    errno: 'ENOMEM',
    limit: 'RLIMIT_AS',
    what: 'there is no room for it in the address space',
    advice: 'Take less memory, or raise the limit: `ulimit -v`, or `sysctl vm.max_map_count vm.overcommit_memory`.',
  },
  {
    calls: ['mmap'],
    errno: 'EAGAIN',
    limit: 'RLIMIT_MEMLOCK',
    what: 'this process has as much locked memory as it may',
    advice: 'Take less memory, or raise the limit: `ulimit -l`.',
  },
  {
    calls: ['epoll_ctl'],
    errno: 'ENOSPC',
    limit: 'fs.epoll.max_user_watches',
    what: 'the user waits for as many files as it may',
    advice: 'Wait for fewer events at a time, or raise the limit: `sysctl fs.epoll.max_user_watches`.',
  },
];

/** A limit of this process, its user or the system is reached; nothing was made, and nothing is left over. */
export class LimitError extends IoctlError {
  override readonly code = 'ERR_LIMIT';
  override readonly exitCode = 3;
  /** Which one, as getrlimit(2) or sysctl(8) spells it: `RLIMIT_NOFILE`. */
  readonly limit: string;

  /** @internal */
  constructor(ioctl: string, errno: number, limit: string, details: { what: string; advice: string }) {
    super(ioctl, errno, details);
    this.limit = limit;
  }
}

/** What a system call's errno comes to: LimitError if it says that a limit is reached. */
export function systemCallError(ioctl: string, errno: number): IoctlError {
  const name = errnoName(errno);
  const hit = limits.find((one) => one.errno === name && (one.calls?.includes(ioctl) ?? true));
  return hit ? new LimitError(ioctl, errno, hit.limit, hit) : new IoctlError(ioctl, errno);
}
