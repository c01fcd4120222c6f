/** What a script may do with the memory of a VM: cases of no-crash-child.ts. */
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { randomFill } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ReadableStream } from 'node:stream/web';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deflate } from 'node:zlib';
import { asm, GuestMemory, IoctlError, machine, spin } from '../../lib/index.ts';
import { countOut, type Guest, makeGuest } from '../support/guest.ts';
import { errorOf, noKvm } from '../support/host.ts';
import { vcpuMappings } from '../support/left-behind.ts';
import { tsWorker } from '../support/worker.ts';

/** Of a size that nothing else here has. */
const SIZE = 0x1357000;

/** The case is none here. */
export class Skip extends Error {}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function collected(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 4; i++) {
    collect();
    await turn();
  }
}

/** Virtual memory of this process in bytes. */
const virtual = () => Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'ascii'))?.[1]) * 1024;

type Transferable = ArrayBuffer & { transfer?(length?: number): ArrayBuffer; transferToFixedLength?(): ArrayBuffer };

async function throughStream(buffer: ArrayBuffer): Promise<ArrayBuffer> {
  const stream = new ReadableStream({
    type: 'bytes',
    pull(controller) {
      controller.byobRequest?.respond(1);
    },
  });
  const { value } = await stream.getReader({ mode: 'byob' }).read(new Uint8Array(buffer));
  return value!.buffer as ArrayBuffer;
}

async function enqueued(buffer: ArrayBuffer): Promise<ArrayBuffer> {
  const stream = new ReadableStream({
    type: 'bytes',
    start: (controller) => controller.enqueue(new Uint8Array(buffer)),
  });
  const { value } = await stream.getReader().read();
  return (value as Uint8Array<ArrayBuffer>).buffer;
}

/** Each takes the buffer away from its owner, or throws Skip where it cannot. */
const moves: Record<string, (buffer: Transferable) => ArrayBuffer | Promise<ArrayBuffer>> = {
  structuredClone: (buffer) => {
    let moved: ArrayBuffer;
    try {
      moved = structuredClone(buffer, { transfer: [buffer] });
    } catch (error) {
      throw new Skip(String(error));
    }
    if (buffer.byteLength > 0) throw new Skip('this version of Node.js copies it');
    return moved;
  },
  transfer: (buffer) => buffer.transfer?.() ?? absent('ArrayBuffer.prototype.transfer'),
  transferToFixedLength: (buffer) =>
    buffer.transferToFixedLength?.() ?? absent('ArrayBuffer.prototype.transferToFixedLength'),
  'a byte stream': throughStream,
  'a chunk of a byte stream': enqueued,
};

function absent(what: string): never {
  throw new Skip(`${what} is not here`);
}

function open(): Guest {
  if (noKvm) throw new Skip(noKvm);
  return makeGuest();
}

/** All of it can be read and written, as often as the collector comes. */
async function isHarmless(buffer: ArrayBuffer): Promise<Uint8Array> {
  const bytes = new Uint8Array(buffer);
  for (const value of [0x5a, 0]) {
    bytes.fill(value);
    await collected();
    for (let at = 0; at < bytes.length; at += 4096) assert.equal(bytes[at], value);
  }
  return bytes;
}

export const cases: Record<string, () => Promise<void> | void> = {
  async 'a job of zlib'() {
    if (process.versions.node.startsWith('20.')) throw new Skip('Node.js 20 aborts when the input of zlib is gone');
    const memory = GuestMemory.allocate(SIZE);
    // Where nobody can catch it.
    const refused = new Promise((resolve) => process.once('uncaughtException', resolve));
    deflate(memory.bytes, () => {});
    memory.close();
    await collected();
    assert.match(String(await refused), /out of bounds/);
  },
  async 'a job of crypto'() {
    const memory = GuestMemory.allocate(SIZE);
    const done = Array.from({ length: 4 }, () => new Promise<void>((end) => randomFill(memory.bytes, () => end())));
    memory.close();
    await Promise.all([...done, collected()]);
  },
  async 'what was given out goes with the last that reaches it'() {
    const memory = GuestMemory.allocate(SIZE);
    let bytes: Uint8Array | null = memory.bytes.fill(1);
    // Also because the collector's own memory comes with its first call.
    await collected();
    const before = virtual();
    memory.close();
    assert.equal(bytes.length, 0);
    bytes = null;
    await collected();
    assert.ok(virtual() <= before - SIZE / 2, `${before} -> ${virtual()}`);
  },
  async 'a ring whose data outlives its vCPU'() {
    const guest = open();
    const kept: Uint8Array[] = [];
    const run = guest.program(0, countOut(0x42)).start({
      record: {
        exits: ['KVM_EXIT_IO'],
        capacity: 16,
        onRecords(batch) {
          kept.push(batch.data(0));
        },
      },
    });
    while (kept.length === 0) await turn();
    await run.stop();
    const [data] = kept.splice(0);
    guest.vm.close();
    await isHarmless(data!.buffer as ArrayBuffer);
  },
  'a ring that is larger than a buffer'() {
    using guest = open();
    const start = () =>
      guest.program(0, spin).start({ record: { exits: [2], capacity: 2 ** 20, ioBytes: 4096, onRecords() {} } });
    if (constants.MAX_LENGTH > 2 ** 33) start();
    else assert.equal(errorOf(start).code, 'ERR_ARGUMENT');
  },
  async 'moved to another thread, whose owner ends'() {
    const worker = tsWorker(pathToFileURL(process.argv[1]!).href, {});
    const moved = await new Promise<ArrayBuffer | string>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await worker.terminate();
    await collected();
    if (typeof moved === 'string') throw new Skip(moved);
    assert.equal(moved.byteLength, SIZE);
    await isHarmless(moved);
  },
};

/** Around what ArrayBuffers and the addresses of a process have had as their limits. */
const sizes = [2 ** 31, 2 ** 32 - 4096, 2 ** 32, 2 ** 32 + 4096, 6 * 2 ** 30, 2 ** 40, 2 ** 46, 2 ** 47, 2 ** 52];
for (const size of [...sizes, Number.MAX_SAFE_INTEGER - 4095])
  cases[`${size} bytes of guest memory`] = async () => {
    let memory: GuestMemory;
    try {
      memory = GuestMemory.allocate(size);
    } catch (error) {
      assert.ok(error instanceof IoctlError && error.ioctl === 'mmap' && size > 2 ** 32, String(error));
      return;
    }
    // Whatever a buffer can hold.
    for (const at of [0, size / 2 - 2, size - 4]) {
      memory.write(at, Uint8Array.of(1, 2, 3, 4));
      assert.deepEqual([...memory.read(at + 1, 3)], [2, 3, 4]);
    }
    assert.equal(errorOf(() => memory.read(size - 3, 4)).code, 'ERR_MEMORY_RANGE');
    assert.equal(errorOf(() => memory.write(size - 3, new Uint8Array(4))).code, 'ERR_MEMORY_RANGE');
    if (size <= constants.MAX_LENGTH) assert.equal(memory.bytes[size - 1], 4);
    else {
      assert.equal(errorOf(() => memory.bytes).code, 'ERR_VIEW_SIZE');
      assert.equal(errorOf(() => memory.view).code, 'ERR_VIEW_SIZE');
    }
    if (size >= 2 ** 40) assert.equal(errorOf(() => memory.read(0, size)).code, 'ERR_VIEW_SIZE');
    await collected();
    memory.close();
    await collected();
  };
cases['a guest beyond 4 GiB'] = async () => {
  if (noKvm) throw new Skip(noKvm);
  await using m = await machine({ memory: 6 * 2 ** 30 });
  m.vcpu(0).program(asm.long64`
    mov al, 1
    out 0x10, al
    hlt`);
  const trace = await m.run({ until: { exits: 1 } });
  assert.equal([...trace][0]!.exit.name, 'KVM_EXIT_IO');
  m.memory.write(5 * 2 ** 30, Uint8Array.of(1));
  assert.deepEqual([...m.memory.read(5 * 2 ** 30, 1)], [1]);
};

for (const [how, move] of Object.entries(moves)) {
  cases[`guest memory moved by ${how}`] = async () => {
    const memory = GuestMemory.allocate(SIZE);
    const { bytes } = memory;
    const moved = await move(bytes.buffer);
    assert.equal(bytes.length, 0);
    // It shows the memory; so does one that is asked for now.
    memory.write(SIZE - 2, Uint8Array.of(7, 8));
    assert.deepEqual([...new Uint8Array(moved, SIZE - 2)], [7, 8]);
    assert.deepEqual([...memory.bytes.subarray(SIZE - 2)], [7, 8]);
    assert.deepEqual([...memory.read(SIZE - 2, 2)], [7, 8]);
    memory.close();
    assert.deepEqual([...new Uint8Array(moved, SIZE - 2)], [0, 0], 'the memory is gone');
    await isHarmless(moved);
  };
  cases[`guest memory moved by ${how} while a VM has it`] = async () => {
    const guest = open();
    const vcpu = guest.program(0, countOut(0x42));
    const moved = await move(guest.memory.bytes.buffer);
    guest.memory.close();
    assert.equal(vcpu.run().name, 'KVM_EXIT_IO');
    guest.vm.close();
    await isHarmless(moved);
  };
  cases[`kvm_run moved by ${how}`] = async () => {
    const guest = open();
    const vcpu = guest.program(0, countOut(0x42));
    const moved = await move(vcpu.kvmRun.buffer as ArrayBuffer);
    assert.equal(vcpu.run().name, 'KVM_EXIT_IO');
    assert.equal(new DataView(moved).getUint32(8, true), 2);
    assert.equal(vcpu.kvmRun.getUint32(8, true), 2);
    guest.vm.close();
    assert.equal(vcpuMappings(), 0, 'the VM is gone');
    assert.equal(new DataView(moved).getUint32(8, true), 0);
    await isHarmless(moved);
  };
}

/** In a worker: gives its guest memory away to whoever made it. */
export async function giveAway(): Promise<ArrayBuffer> {
  return throughStream(GuestMemory.allocate(SIZE).bytes.buffer);
}
