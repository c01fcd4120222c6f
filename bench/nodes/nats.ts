// NATS itself: a server, and its own request.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Transport } from 'kvm-dsm';
import { natsTransport } from '../../lib/node/transports/nats.ts';

const PORT = 42_220;
const URL = `nats://127.0.0.1:${PORT}`;

export class BenchNats implements AsyncDisposable {
  readonly #server: ChildProcess;
  readonly #asks: NatsConnection;
  readonly #answers: NatsConnection;
  #machines = 0;

  private constructor(server: ChildProcess, asks: NatsConnection, answers: NatsConnection) {
    this.#server = server;
    this.#asks = asks;
    this.#answers = answers;
  }

  /** @param program of nats-server */
  static async start(program: string): Promise<BenchNats> {
    const server = spawn(program, ['-a', '127.0.0.1', '-p', String(PORT)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.once('exit', () => reject(new Error(`nats-server has ended: ${said}`)));
      server.stderr!.on('data', (text) => {
        said += text;
        if (said.includes('Server is ready')) resolve();
      });
    });
    const [asks, answers] = await Promise.all([connect({ servers: URL }), connect({ servers: URL })]);
    answers.subscribe('bench', { callback: (_error, message) => void message.respond(message.data) });
    await answers.flush();
    return new BenchNats(server, asks, answers);
  }

  /** What `transport` of a machine takes. */
  transport(): (node: number) => Promise<Transport> {
    const prefix = `bench.${this.#machines++}`;
    return () => natsTransport({ url: URL, prefix });
  }

  /** Requests and their answers, each by a connection of its own in this process, one after the other; in microseconds. */
  async requests(count: number, bytes: number): Promise<number[]> {
    const payload = new Uint8Array(bytes);
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const began = process.hrtime.bigint();
      await this.#asks.request('bench', payload, { timeout: 10_000 });
      times.push(Number(process.hrtime.bigint() - began) / 1000);
    }
    return times;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#asks.close(), this.#answers.close()]);
    this.#server.kill();
    await once(this.#server, 'exit');
  }
}
