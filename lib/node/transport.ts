/** What carries messages between nodes. It may lose them, double them and change their order: `delivery.ts` sees to that. */

export interface Transport {
  /** Hands a message to all that have subscribed to the subject. Never throws and never waits: what cannot be sent is lost. */
  publish(subject: string, message: Uint8Array): void;
  /** `take` gets each message to the subject, from any node, from now on. */
  subscribe(subject: string, take: (message: Uint8Array) => void): void;
  /** No message comes any more. */
  close(): Promise<void>;
}

/** The subject of what is for one node. */
export const subjectOf = (node: number): string => `node.${node}`;

/** The subject of what is for several: each takes out what is its own. */
export const EVERYONE = 'all';
