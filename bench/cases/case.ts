// A case of the benchmarks: what JavaScript does for it. The C side of the same name is in bench/c/cases.c.

/** What one block took, in nanoseconds: by the clock, and of the process' own time on all CPUs. */
export interface Block {
  readonly wall: number;
  readonly cpu: number;
  readonly count: number;
}

export interface Case {
  readonly name: string;
  /** What is counted: a time is that of one of them. */
  readonly unit: 'exit' | 'call' | 'pair' | 'machine';
  /** How many vCPUs share them; default 1. */
  readonly vcpus?: number;
  /** How many of them in one block, where one costs a microsecond. */
  readonly count: number;
  /** `guest`: only with a KVM that runs guests. `series`: only with one of the series. */
  readonly needs?: 'guest' | 'series';
  /** What it is worth, at most, of C's time: the aim. */
  readonly aim?: number;
  /** One block of so many: makes what it needs, and times the rest. */
  block(count: number): Promise<Block> | Block;
}

/** Starts a clock; the function that it returns stops it. */
export function clock(): (count: number) => Block {
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  return (count) => {
    const took = Number(process.hrtime.bigint() - wall);
    const { user, system } = process.cpuUsage(cpu);
    return { wall: took, cpu: (user + system) * 1000, count };
  };
}
