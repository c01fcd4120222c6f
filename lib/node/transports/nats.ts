/** NATS core: a node's subjects below a prefix of the machine's. What it does not bring, `delivery.ts` sends again. */
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { TransportError } from '../errors.ts';
import type { Transport } from '../transport.ts';

/** How to reach a server, in the client's own words: address, TLS, credentials. */
export interface NatsOptions {
  /** Such as `nats://127.0.0.1:4222`. */
  readonly url: string;
  /** What stands before each subject: a machine has one of its own. Letters, digits, dashes and dots. */
  readonly prefix: string;
  /** Of @nats-io/transport-node: `tls`, `authenticator`, `user`, `pass`, `token` and so on. */
  readonly client?: NodeConnectionOptions;
}

/** So long a server may be away until it is asked again, in ms. */
const RECONNECT = 100;
const CONNECT_TIMEOUT = 5000;

const PACKAGE = '@nats-io/transport-node';

/** The client is an optional package: nobody needs it whose nodes are in one process. */
async function loadClient(): Promise<typeof import('@nats-io/transport-node')> {
  try {
    return await import('@nats-io/transport-node');
  } catch (cause) {
    throw new TransportError(`The NATS client ${PACKAGE} cannot be loaded`, {
      advice: `Install it beside kvm-dsm: npm install ${PACKAGE}`,
      cause,
    });
  }
}

/** @throws TransportError if there is no client, or no server */
export async function natsTransport({ url, prefix, client = {} }: NatsOptions): Promise<Transport> {
  const { connect } = await loadClient();
  let connection: NatsConnection;
  try {
    connection = await connect({
      timeout: CONNECT_TIMEOUT,
      ...client,
      servers: url,
      noEcho: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT,
      reconnectJitter: 0,
    });
  } catch (cause) {
    throw notConnected(url, cause as Error);
  }
  return new NatsTransport(connection, prefix);
}

/** Nobody is there, or somebody who does not take this client. */
function notConnected(url: string, cause: Error): TransportError {
  const codes = [cause, cause.cause].map((error) => (error as NodeJS.ErrnoException | undefined)?.code);
  const nobody = codes.some((code) => code === 'ECONNREFUSED' || code === 'ENOTFOUND');
  return new TransportError(
    nobody
      ? `There is no NATS server at ${url}: ${cause.message}`
      : `The NATS server at ${url} does not take this client, or the client not the server: ${cause.message}`,
    {
      advice: nobody
        ? 'Start one (Debian: apt install nats-server; nats-server -a 127.0.0.1), or give its address.'
        : "Give what it asks for, in the client's own words: credentials, `tls` (kvm-dsm node --nats-options).",
      cause,
    },
  );
}

class NatsTransport implements Transport {
  readonly #connection: NatsConnection;
  readonly #prefix: string;
  #isThere = true;

  constructor(connection: NatsConnection, prefix: string) {
    this.#connection = connection;
    this.#prefix = prefix;
    void this.#watch();
  }

  /** What is sent while the server is away would be kept by the client without a limit: it is lost instead. */
  async #watch(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'disconnect') this.#isThere = false;
      if (type === 'reconnect') this.#isThere = true;
    }
  }

  publish(subject: string, message: Uint8Array): void {
    if (!this.#isThere || this.#connection.isClosed()) return;
    this.#connection.publish(`${this.#prefix}.${subject}`, message);
  }

  subscribe(subject: string, take: (message: Uint8Array) => void): void {
    this.#connection.subscribe(`${this.#prefix}.${subject}`, {
      callback: (error, message) => {
        // A subscription that the server refuses brings nothing: the peers name this node then.
        if (error === null) take(message.data);
      },
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
