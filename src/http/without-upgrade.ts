import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** What asks for another protocol on this connection (RFC 9110 §7.8, RFC 7540 §3.2.1). */
const UPGRADE_FIELDS = new Set(['connection', 'upgrade', 'http2-settings']);

export const asksForWebSocket = ({ headers }: IncomingMessage): boolean =>
  headers.upgrade?.toLowerCase() === 'websocket';

/**
 * Answers a request that asked for an upgrade as if it had not, which a server may do. Some clients offer HTTP/2 with
 * every request (`Upgrade: h2c`), and Node hands such a request over without its body as soon as anybody listens for
 * upgrades: so it is put back, and read once more.
 */
export function answerWithoutUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index]!;
    if (!UPGRADE_FIELDS.has(name.toLowerCase())) lines.push(`${name}: ${request.rawHeaders[index + 1]}`);
  }
  if (/\bclose\b/i.test(request.headers.connection ?? '')) lines.push('Connection: close');
  // As they came: Node reads bytes of headers as Latin-1.
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}
