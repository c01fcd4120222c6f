/** Mails, as a mailing list's archive or `git format-patch` gives them. */
import { Buffer } from 'node:buffer';

/** What a review wants to know of a mail. */
export interface Mail {
  subject: string;
  from: string;
  /** The text with its transfer encoding undone, and behind it the patches that are attached. */
  text: string;
}

/** A line that begins a mail in a mailbox: `From someone Mon Sep 17 00:00:00 2001`, as git writes it as well. */
const separator = /^From \S+ .*\d{2}:\d{2}(?::\d{2})?.* \d{4}\s*$/;

/** The mails of a mailbox. Bytes stay bytes (latin1): each mail says itself what they mean. */
export function splitMailbox(bytes: Uint8Array): string[] {
  const mails: string[][] = [];
  let before = '';
  for (const line of Buffer.from(bytes).toString('latin1').split('\n')) {
    if (separator.test(line) && (mails.length === 0 || before.trim() === '')) mails.push([]);
    // RFC 4155's relatives: a line of the text that looks like a separator has a `>` before it.
    else mails.at(-1)?.push(line.replace(/^>(>*From )/, '$1'));
    before = line;
  }
  return mails.map((lines) => lines.join('\n'));
}

/** True if a text begins as a mailbox does. */
export function isMailbox(text: string): boolean {
  return separator.test(text.slice(0, text.indexOf('\n')));
}

/** Reads one mail: encoded words in its head, quoted-printable or base64 in its body, parts and attachments. */
export async function readMail(bytes: string): Promise<Mail> {
  const { default: PostalMime } = await import('postal-mime');
  const mail = await PostalMime.parse(Buffer.from(bytes, 'latin1'), { attachmentEncoding: 'utf8' });
  const attached = mail.attachments
    .filter(
      ({ mimeType, filename }) => /\b(?:x-)?(?:patch|diff)$/.test(mimeType) || /\.(patch|diff)$/.test(filename ?? ''),
    )
    .map(({ content }) => String(content));
  const { name, address } = mail.from ?? {};
  return {
    subject: (mail.subject ?? '').replace(/\s+/g, ' ').trim(),
    from: [name, address && `<${address}>`].filter(Boolean).join(' '),
    text: [mail.text ?? '', ...attached].join('\n').replaceAll('\r\n', '\n'),
  };
}
