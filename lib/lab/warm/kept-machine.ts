/** A machine that another process keeps, for the time that it is this command's. */
import { PassThrough } from 'node:stream';
import type { LabMachine, MachineLine } from '../boot/machine.ts';
import type { Emulator } from '../lanes/lane.ts';
import { OutputEnd } from './end-mark.ts';
import type { Turn } from './protocol.ts';
import type { Message, MessageKind } from './wire.ts';

/** How long the end of the output may take when the machine has told that all of it is out, in ms. */
const OUTPUT_END = 10_000;

/** A way to whoever keeps it. */
export interface MachineChannel {
  /** Resolves when nobody keeps it any more. */
  readonly closed: Promise<void>;
  listen(listener: (message: Message) => void): void;
  send(kind: MessageKind, data?: Uint8Array | string): void;
}

export class KeptMachine implements LabMachine {
  readonly emulator: Emulator;
  readonly dir: string;
  readonly pid: number;
  readonly uptime: number;
  readonly lines: readonly [MachineLine, MachineLine, MachineLine];
  readonly ended: Promise<string>;
  readonly #connection: MachineChannel;
  readonly #streams: readonly [PassThrough, PassThrough, PassThrough];
  readonly #ends: readonly [OutputEnd, OutputEnd];
  #finished = false;
  #isOver = false;
  #tellEnd: (how: string) => void = () => {};
  #late: NodeJS.Timeout | undefined;

  /** @param endSecret what init writes behind the command's output */
  constructor(emulator: Emulator, connection: MachineChannel, turn: Omit<Turn, 'notes'>, endSecret: string) {
    this.emulator = emulator;
    this.dir = turn.dir;
    this.pid = turn.emulatorPid;
    this.uptime = turn.uptime;
    this.#connection = connection;
    const streams = [new PassThrough(), new PassThrough(), new PassThrough()] as const;
    this.#streams = streams;
    this.#ends = [new OutputEnd(endSecret), new OutputEnd(endSecret)];
    const line = (stream: PassThrough): MachineLine => ({
      connected: Promise.resolve(stream),
      close: () => stream.destroy(),
    });
    this.lines = [line(streams[0]), line(streams[1]), line(streams[2])];
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
    connection.listen((message) => this.#take(message));
    connection.closed.then(() => this.#over('the process that keeps the machine has ended'));
  }

  booted(): void {}

  /** The machine stays, for the next command. */
  finish(): void {
    this.#finished = true;
    this.#late = setTimeout(() => {
      this.kill();
      this.#over('its output has no end');
    }, OUTPUT_END);
    this.#check();
  }

  kill(): void {
    this.#connection.send('kill');
  }

  #take({ kind, data }: Message): void {
    if (this.#isOver) return;
    if (kind === 'console') this.#streams[0].write(data);
    else if (kind === 'stdout') this.#output(0, data);
    else if (kind === 'stderr') this.#output(1, data);
    else if (kind === 'ended') this.#over(data.toString('utf8'));
  }

  #output(index: 0 | 1, data: Buffer): void {
    const output = this.#ends[index].feed(data);
    if (output.length > 0) this.#streams[index + 1]!.write(output);
    this.#check();
  }

  #check(): void {
    if (this.#finished && this.#ends.every(({ ended }) => ended)) this.#over('it goes on');
  }

  #over(how: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#late);
    for (const index of [0, 1] as const) {
      const rest = this.#ends[index].rest();
      if (rest.length > 0) this.#streams[index + 1]!.write(rest);
    }
    for (const stream of this.#streams) stream.end();
    this.#tellEnd(how);
  }
}
