/** QEMU's monitor: how a machine's state goes to files and comes from there. */
import { LineSplitter } from '../../base/line-splitter.ts';
import type { ConnectedSocket } from '../../base/node-shapes.ts';
import { printable } from '../../base/text.ts';
import { LabEmulatorError } from '../errors.ts';
import type { MachineState } from './lane.ts';

interface Message {
  return?: unknown;
  error?: { desc: string };
  event?: string;
  data?: { status?: string };
}

/** No answer of these is as long, in characters. */
const LONGEST = 1 << 20;

/** A monitor that speaks QMP: one command at a time. */
class Monitor {
  readonly #socket: ConnectedSocket;
  readonly #splitter = new LineSplitter(LONGEST);
  #answered: ((message: Message) => void) | undefined;
  #awaited: { is(message: Message): boolean; came(message: Message): void } | undefined;
  readonly #gone: Promise<never>;
  #fail: (error: Error) => void = () => {};

  constructor(socket: ConnectedSocket) {
    this.#socket = socket;
    this.#gone = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#gone.catch(() => {});
    socket.once('close', () => this.#fail(failed('it ended')));
    socket.on('data', (bytes) => {
      for (const line of this.#splitter.feed(bytes)) this.#hear(line);
    });
    socket.resume();
  }

  /** Throws a LabEmulatorError if QEMU refuses, or ends. */
  async execute(command: string, options: Record<string, unknown> = {}): Promise<unknown> {
    const answer = new Promise<Message>((resolve) => {
      this.#answered = resolve;
    });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: options })}\n`);
    const { error, return: result } = await Promise.race([answer, this.#gone]);
    if (error) throw failed(`${command}: ${error.desc}`);
    return result;
  }

  /** Waits for an event; to be called before what leads to it. */
  event(is: (message: Message) => boolean): Promise<Message> {
    const came = new Promise<Message>((resolve) => {
      this.#awaited = { is, came: resolve };
    });
    const over = Promise.race([came, this.#gone]);
    // Who was to wait for it may have failed before.
    over.catch(() => {});
    return over;
  }

  #hear(line: string): void {
    try {
      this.#take(JSON.parse(line) as Message);
    } catch {
      this.#fail(failed(`it said ${printable(line.slice(0, 80))}`));
    }
  }

  #take(message: Message): void {
    if (message.event !== undefined && this.#awaited?.is(message)) this.#awaited.came(message);
    else if ('return' in message || message.error) this.#answered?.(message);
  }
}

const failed = (why: string) =>
  new LabEmulatorError(`QEMU's monitor: ${why}`, {
    advice: 'Does this QEMU know `-object memory-backend-file` and x-ignore-shared?',
  });

/** Memory that lies in a file of its own is not part of what is written and read. */
const capabilities = { capabilities: ['x-ignore-shared', 'events'].map((capability) => ({ capability, state: true })) };

const DEVICES = 'devices';
const MEMORY = 'memory';

export const qemuState: MachineState = {
  files: [MEMORY, DEVICES],
  async save(socket) {
    const monitor = await connect(socket);
    await monitor.execute('stop');
    await migrate(monitor, 'migrate', `exec:cat >${DEVICES}`);
  },
  async load(socket) {
    const monitor = await connect(socket);
    await migrate(monitor, 'migrate-incoming', `exec:cat ${DEVICES}`);
    // It was stopped when it was saved.
    await monitor.execute('cont');
  },
};

async function connect(socket: ConnectedSocket): Promise<Monitor> {
  const monitor = new Monitor(socket);
  await monitor.execute('qmp_capabilities');
  await monitor.execute('migrate-set-capabilities', capabilities);
  return monitor;
}

async function migrate(monitor: Monitor, command: string, uri: string): Promise<void> {
  const over = monitor.event(
    ({ event, data }) => event === 'MIGRATION' && /^(completed|failed)$/.test(data?.status ?? ''),
  );
  await monitor.execute(command, { uri });
  if ((await over).data?.status !== 'completed') throw failed(`${command} failed`);
}

/** @param state `save`: the memory is a file that shall be kept; `load`: it begins as that file is, and leaves it so */
export function stateArguments(state: 'save' | 'load', mebibytes: number): string[] {
  const share = state === 'save' ? 'on' : 'off';
  return [
    ...['-object', `memory-backend-file,id=ram,size=${mebibytes}M,mem-path=${MEMORY},share=${share}`],
    ...['-machine', 'pc,memory-backend=ram'],
    // What has looked at the clock before takes new random numbers when it finds it decades ahead (OpenSSL).
    ...['-rtc', 'base=2000-01-01'],
    ...['-chardev', 'socket,id=monitor,path=monitor', '-mon', 'chardev=monitor,mode=control'],
    ...(state === 'load' ? ['-incoming', 'defer'] : []),
  ];
}
