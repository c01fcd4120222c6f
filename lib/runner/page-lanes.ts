/** The lanes of a page from above to below: of each machine the host and its vCPUs, those of a node together. */
import type { LoadedMachine, LoadedTrace } from '../picture/file/load.ts';
import type { PictureLane } from '../picture/picture.ts';
import type { KernelEvent } from '../trace/kernel-event.ts';

/** Lanes that belong together. */
export interface LaneGroup {
  readonly name: string;
  readonly first: number;
  readonly last: number;
}

export class PageLanes {
  readonly names: string[] = [];
  readonly groups: LaneGroup[] = [];
  readonly #numbers = new Map<string, number>();

  constructor({ machines, kernel }: LoadedTrace) {
    for (const machine of machines) this.#add(machine, machines.length > 1 ? `${machine.machine}: ` : '');
    if (kernel.some((event) => this.#known(event) === undefined))
      this.#numbers.set(ELSEWHERE, this.names.push('kernel') - 1);
  }

  of(machine: number, lane: PictureLane): number {
    return this.#numbers.get(`${machine} ${lane}`)!;
  }

  /** That of its vCPU, or the one of what is nobody's. */
  ofKernel(event: KernelEvent): number {
    return this.#known(event) ?? this.#numbers.get(ELSEWHERE)!;
  }

  #known({ machine, vcpu }: KernelEvent): number | undefined {
    return vcpu === undefined ? undefined : this.#numbers.get(`${machine} ${vcpu}`);
  }

  #add({ machine, picture, nodes }: LoadedMachine, before: string): void {
    const nodeOf = (lane: PictureLane) => (lane === 'host' ? -1 : (nodes.get(lane) ?? Number.POSITIVE_INFINITY));
    // Which is stable: the lanes of a node stay in their order.
    const lanes =
      nodes.size === 0 ? picture.lanes : picture.lanes.toSorted((a, b) => Math.sign(nodeOf(a) - nodeOf(b) || 0));
    for (const lane of lanes) {
      const number = this.names.push(`${before}${lane === 'host' ? 'host' : `vCPU ${lane}`}`) - 1;
      this.#numbers.set(`${machine} ${lane}`, number);
      const node = lane === 'host' ? undefined : nodes.get(lane);
      if (node === undefined) continue;
      const name = `${before}node ${node}`;
      const last = this.groups.at(-1);
      if (last?.name === name) this.groups[this.groups.length - 1] = { ...last, last: number };
      else this.groups.push({ name, first: number, last: number });
    }
  }
}

const ELSEWHERE = 'elsewhere';
