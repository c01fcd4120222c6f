/** A transport by its address. */
import { ArgumentError } from '../base/errors.ts';
import type { Transport } from './transport.ts';
import type { NatsOptions } from './transports/nats.ts';

/** Whether it is the address of a NATS server. */
export const isNatsAddress = (url: string): boolean => /^(?:nats|tls|wss?):\/\/./.test(url);

/** What stands before each subject of the machines that are called so. */
export const prefixOf = (vm: string): string => `kvm-dsm.${vm}`;

/** @throws ArgumentError for what is no address of a NATS server; TransportError if there is no client, or no server */
export async function openTransport(
  argument: string,
  url: string,
  vm: string,
  client?: NatsOptions['client'],
): Promise<Transport> {
  if (!isNatsAddress(url))
    throw new ArgumentError(
      argument,
      `${argument} ${JSON.stringify(url)} is not the address of a NATS server`,
      'Give it as nats://host:port.',
    );
  const { natsTransport } = await import('./transports/nats.ts');
  return natsTransport({ url, prefix: prefixOf(vm), ...(client && { client }) });
}
