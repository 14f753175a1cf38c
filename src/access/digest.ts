import { createHash, timingSafeEqual } from 'node:crypto';

/** SHA-256, hexadecimal. Secrets of ours are random, so that no slow hash is needed. */
export const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** Whether two digests are the same, in a time that tells nothing about where they differ. */
export function isSameDigest(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'));
}
