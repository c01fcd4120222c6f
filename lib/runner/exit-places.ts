/** The addresses of a machine's exits, each once. */

/** So many of a vCPU are remembered: a guest may exit anywhere. */
const MOST = 4096;

export class ExitPlaces {
  readonly #seen = new Map<number, Set<bigint>>();
  #fresh = new Map<number, bigint[]>();

  add(vcpu: number, rip: bigint): void {
    const seen = this.#seen.get(vcpu) ?? new Set();
    this.#seen.set(vcpu, seen);
    if (seen.has(rip) || seen.size >= MOST) return;
    seen.add(rip);
    const fresh = this.#fresh.get(vcpu);
    if (fresh) fresh.push(rip);
    else this.#fresh.set(vcpu, [rip]);
  }

  /** Those that were added since the last call, by vcpu_id. */
  take(): ReadonlyMap<number, readonly bigint[]> {
    const fresh = this.#fresh;
    this.#fresh = new Map();
    return fresh;
  }
}
