/** How far a machine has come, when it gave its last sign of life, and whether it has passed a limit. */
import { threadsOf } from '../../host/threads.ts';
import { cpuSeconds } from './cpu-time.ts';
import { frozen, type LabFailure, notBooted, overdue } from './failures.ts';
import { type Limits, slowdown } from './limits.ts';

/** starting: user space is reached. running: the command has begun. ending: it has ended. over: and so has the machine. */
export type Stage = 'booting' | 'starting' | 'running' | 'ending' | 'over';

/** A time by the wall, in milliseconds, and by the emulator's CPU time, in seconds. */
interface Times {
  wall: number;
  cpu: number;
}

export class Watch {
  readonly #pid: number | undefined;
  readonly #limits: Limits;
  /** The command's own limit; none for a person at a terminal. */
  readonly #timeoutSeconds: number | undefined;
  #stage: Stage = 'booting';
  #since: Times = { wall: performance.now(), cpu: 0 };
  #alive: Times = this.#since;
  #outputAt = this.#since.wall;
  #oopsAt: number | undefined;
  /** The machine's own clock at its last sign of life, and when the command began. */
  #uptime = 0;
  #readyUptime = 0;

  /**
   * @param pid the emulator's; undefined if it could not be started
   * @param uptime the machine's own clock, if it has booted already
   */
  constructor(
    pid: number | undefined,
    limits: Limits,
    timeoutSeconds: number | undefined,
    uptime: number | null = null,
  ) {
    this.#pid = pid;
    this.#limits = limits;
    this.#timeoutSeconds = timeoutSeconds;
    if (uptime === null) return;
    this.#uptime = uptime;
    this.#alive = this.#since = this.#now();
    this.#stage = 'starting';
  }

  get stage(): Stage {
    return this.#stage;
  }

  enter(stage: Stage): void {
    this.#stage = stage;
    this.#since = this.#now();
    if (stage === 'running') this.#readyUptime = this.#uptime;
  }

  signOfLife(): void {
    this.#alive = this.#now();
  }

  /** The command has written something, which is a sign of life as well. */
  wrote(): void {
    this.signOfLife();
    this.#outputAt = performance.now();
  }

  /** The machine told its own clock. */
  toldUptime(seconds: number): void {
    this.#uptime = seconds || this.#uptime;
  }

  oopsed(): void {
    this.#oopsAt ??= performance.now();
  }

  /** Checked a few times per second: has any limit been passed? `end`: the machine is to end, and that is no failure. */
  check(): LabFailure | 'end' | undefined {
    const limits = this.#limits;
    const now = this.#now();
    const inStage = this.#seconds(this.#since, now);
    const silent = this.#seconds(this.#alive, now);
    if (this.#stage === 'over') return undefined;
    if (this.#oopsAt !== undefined && now.wall - this.#oopsAt > limits.oopsSeconds * 1000) return 'end';
    if (this.#stage === 'booting') {
      const late = inStage.cpu > limits.bootCpuSeconds || inStage.wall > limits.bootSeconds;
      return late ? notBooted(inStage.wall) : undefined;
    }
    if (this.#stage === 'ending') {
      // What holds the output open outlived the command: its exit code is known, and that is the answer.
      const quiet = (now.wall - this.#outputAt) / 1000;
      return Math.min(quiet, inStage.wall) > limits.shutdownSeconds ? 'end' : undefined;
    }
    if (silent.cpu > limits.silentCpuSeconds || silent.wall > limits.silentSeconds)
      return frozen(silent, this.#uptime, this.#pid === undefined ? [] : threadsOf(this.#pid));
    return this.#stage === 'running' ? this.#overdue(inStage.wall) : undefined;
  }

  /** By the machine's own clock, which may be slow; by the wall only when that is far over. */
  #overdue(wall: number): LabFailure | undefined {
    const timeout = this.#timeoutSeconds;
    if (timeout === undefined) return undefined;
    const inside = this.#uptime - this.#readyUptime;
    const limit = timeout + this.#limits.graceSeconds;
    const late = (wall > limit && inside > limit) || wall > timeout * slowdown + this.#limits.graceSeconds;
    return late ? overdue(timeout, wall) : undefined;
  }

  #now(): Times {
    const cpu = this.#pid === undefined ? undefined : cpuSeconds(this.#pid);
    return { wall: performance.now(), cpu: cpu ?? this.#alive.cpu };
  }

  /** Between two times, both in seconds. */
  #seconds(from: Times, to: Times): Times {
    return { wall: (to.wall - from.wall) / 1000, cpu: to.cpu - from.cpu };
  }
}
