// The ways of an interrupt from one vCPU to another, each measured by the guest that sends it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Machine, type MachineOptions, machine, type NodeIpi } from 'kvm-dsm';
import { BURST, checkBurst, DONE, loadBurst, loadRoundTrips, memoryOf, timesOf } from './guests.ts';

const MEMORY = 4 << 20;
const DEADLINE = '5m';
/** In ms: this process does nothing else meanwhile. */
const RELAY_TIMEOUT = 120_000;

/** What one block came to: times in microseconds. */
export interface RoundTrips {
  /** By the sender's TSC: from before its ICR write until it saw that the handler had counted. */
  readonly times: readonly number[];
  /** Of several nodes: from the exit until the transport had the message, and until the other node began to replay it. */
  readonly handed?: readonly number[];
  readonly replayed?: readonly number[];
  /** Messages to the transport, of all nodes. */
  readonly messages?: number;
}

type Join = Pick<MachineOptions, 'transport'>;

const make = (options: MachineOptions) => machine({ memory: MEMORY, apic: 'xapic', ...options });

/** Two vCPUs of one VM. */
export async function local(count: number): Promise<RoundTrips> {
  await using m = await make({ vcpus: 2 });
  return { times: await roundTrips(m, count) };
}

/** Two nodes of one vCPU each. */
export async function overNodes(count: number, join: Join = {}): Promise<RoundTrips> {
  await using m = await make({ nodes: [{ vcpus: [0] }, { vcpus: [1] }], ...join });
  const before = messagesOf(m);
  const times = await roundTrips(m, count);
  const ipis = m.nodeIpis();
  if (ipis.length !== count) throw new Error(`${ipis.length} interrupts between nodes, not ${count}`);
  return {
    times,
    handed: ipis.map(({ handedAfter }) => handedAfter!),
    replayed: ipis.map(({ to }) => to[0]!.replayedAfter!),
    messages: messagesOf(m) - before,
  };
}

const messagesOf = (m: Machine) => m.nodes.reduce((sum, { published }) => sum + published, 0);

async function roundTrips(m: Machine, count: number): Promise<number[]> {
  loadRoundTrips(m, count);
  await m.run({ until: { port: DONE }, deadline: DEADLINE });
  const { counter, table } = memoryOf(m);
  const [counted] = new Uint32Array(m.memory.read(counter, 4).slice().buffer);
  if (counted !== count) throw new Error(`${counted} handled of ${count}`);
  return timesOf(m.memory.read(table, count * 4), count, m.vcpu(0).vcpu.getTscKhz());
}

/** The same guests in two VMs that C joins. @param program bench/nodes/relay.c */
export async function overRelay(count: number, program: string): Promise<RoundTrips> {
  await using m = await make({ vcpus: 2 });
  loadRoundTrips(m, count);
  const registers = m.vcpus.map(({ vcpu }) => {
    const { rip, rsp, rflags } = vcpu.getRegs();
    const { cs, ds, gdt, idt } = vcpu.getSregs();
    return [rip, rsp, rflags, cs.selector, ds.selector, gdt.base, gdt.limit, idt.base, idt.limit].join();
  });
  const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-relay-'));
  try {
    const memory = join(folder, 'memory');
    writeFileSync(memory, m.memory.read(0, MEMORY));
    const args = [memory, String(memoryOf(m).table), String(count), ...registers];
    const printed = execFileSync(program, args, { encoding: 'utf8', timeout: RELAY_TIMEOUT })
      .trim()
      .split('\n')
      .map(Number);
    if (printed.length !== count || printed.some((ticks) => !(ticks > 0)))
      throw new Error(`the relay has measured ${printed.length} of ${count}`);
    const table = new Uint8Array(Uint32Array.from(printed).buffer);
    return { times: timesOf(table, count, m.vcpu(0).vcpu.getTscKhz()) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What nodes that send all at once came to. */
export interface Burst {
  readonly interrupts: number;
  /** From the first write until the last replay began. */
  readonly seconds: number;
  readonly messages: number;
}

/** Each of so many nodes has a vCPU, which sends a burst to the next one's. Of several rounds the first one does not count. */
export async function bursts(nodes: number, rounds: number, join: Join = {}): Promise<Burst[]> {
  const ids = Array.from({ length: nodes }, (_, id) => id);
  await using m = await make({ nodes: ids.map((id) => ({ vcpus: [id] })), ...join });
  const found: Burst[] = [];
  for (let round = 0; round <= rounds; round++) {
    const before = messagesOf(m);
    const from = m.nodeIpis().length;
    loadBurst(m);
    await m.run({ deadline: DEADLINE });
    checkBurst(m, round + 1);
    const burst = burstOf(m.nodeIpis(from), messagesOf(m) - before);
    if (burst.interrupts !== nodes * BURST) throw new Error(`${burst.interrupts} interrupts, not ${nodes * BURST}`);
    if (round > 0) found.push(burst);
  }
  return found;
}

function burstOf(ipis: readonly NodeIpi[], messages: number): Burst {
  const first = ipis.reduce((least, { sent }) => Math.min(least, sent!), Number.POSITIVE_INFINITY);
  const last = ipis.reduce((most, { to }) => Math.max(most, ...to.map(({ replayed }) => replayed!)), 0);
  return { interrupts: ipis.length, seconds: (last - first) / 1e9, messages };
}
