import { once } from 'node:events';

import Srf, { type Dialog, type SrfRequest, type SrfResponse } from 'drachtio-srf';

export const SDP =
  'v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n';

// The published types of drachtio-srf leave out, or get wrong, what these interfaces say.
interface SrfClient {
  connect(options: { host: string; port: number; secret: string }): void;
}
interface Responder {
  send(
    status: number,
    options?: object,
    done?: (error: unknown) => void,
    onPrack?: (req: SrfRequest) => void,
  ): void;
  send(status: number, reason: string): void;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The application behind both servers; what it does, the user part of the Request-URI says. */
export async function connectApplication(server: {
  host: string;
  port: number;
  secret: string;
}): Promise<Srf> {
  const srf = new Srf();
  const accept = async (
    req: SrfRequest,
    res: SrfResponse,
    options: object = {},
  ): Promise<Dialog | undefined> => {
    try {
      return await srf.createUAS(req, res, { localSdp: SDP, ...options });
    } catch {
      return undefined;
    }
  };
  const doings: Readonly<
    Record<string, (req: SrfRequest, res: SrfResponse, to: Responder) => Promise<void> | void>
  > = {
    ok: async (req, res) => {
      handle(await accept(req, res));
    },
    plain: async (req, res) => {
      await accept(req, res);
    },
    contact: async (req, res) => {
      handle(await accept(req, res, { headers: { Contact: '<sip:me@localhost>;+sip.srs', 'X-App': 'yes' } }));
    },
    ring: async (req, res, to) => {
      to.send(180);
      await wait(300);
      handle(await accept(req, res));
    },
    ringing: (_req, _res, to) => {
      to.send(180);
    },
    silent: () => undefined,
    late: async (req, res) => {
      await wait(500);
      handle(await accept(req, res));
    },
    busy: (_req, _res, to) => {
      to.send(486);
    },
    full: (_req, _res, to) => {
      to.send(503, { headers: { 'Retry-After': '5' } });
    },
    moved: (_req, _res, to) => {
      to.send(302, { headers: { Contact: '<sip:other@192.0.2.1>' } });
    },
    reason: (_req, _res, to) => {
      to.send(403, 'Go Away Please');
    },
    challenge: (_req, _res, to) => {
      const values = ['Digest realm="a", nonce="1"', 'Digest realm="a", nonce="2"'];
      to.send(401, { headers: { 'WWW-Authenticate': values.join('\r\nWWW-Authenticate: ') } });
    },
    reliable: async (req, res, to) => {
      let pracked: () => void = () => undefined;
      const prack = new Promise<void>((resolve) => {
        pracked = resolve;
      });
      to.send(
        183,
        { headers: { Require: '100rel' }, body: SDP },
        (error) => {
          if (error) pracked();
        },
        () => {
          pracked();
        },
      );
      await Promise.race([prack, wait(1_200)]);
      await accept(req, res);
    },
    hangup: async (req, res) => {
      const dialog = await accept(req, res);
      if (dialog === undefined) return;
      await once(dialog, 'ack');
      dialog.destroy({ headers: { 'X-Why': 'done' } }, () => undefined);
    },
    reinvites: async (req, res) => {
      const dialog = await accept(req, res);
      if (dialog === undefined) return;
      await once(dialog, 'ack');
      await dialog.modify(SDP.replace('30000', '30002')).catch(() => undefined);
    },
    asks: async (req, res) => {
      const dialog = await accept(req, res);
      if (dialog === undefined) return;
      await once(dialog, 'ack');
      await dialog
        .request({
          method: 'INFO',
          headers: { 'Content-Type': 'text/plain' },
          body: 'x',
        } as unknown as SrfRequest)
        .catch(() => undefined);
    },
    refuses: async (req, res) => {
      const dialog = await accept(req, res);
      for (const event of ['modify', 'update', 'info'] as const) {
        dialog?.on(event as 'info', (_req, response) => {
          response.send(488, { headers: { Warning: '304 x "no"' } });
        });
      }
    },
    pending: async (req, res) => {
      // Never answers anything inside the call.
      const dialog = await accept(req, res);
      for (const event of ['modify', 'update', 'info'] as const) dialog?.on(event as 'info', () => undefined);
    },
  };
  const handle = (dialog: Dialog | undefined): void => {
    dialog?.on('info', (_req, res) => {
      res.send(200);
    });
    dialog?.on('options', (_req, res) => {
      res.send(200, { headers: { Allow: 'INVITE' } });
    });
    dialog?.on('modify', (_req, res) => {
      res.send(200, { body: SDP, headers: { 'Content-Type': 'application/sdp' } } as object);
    });
    dialog?.on('update', (req, res) => {
      if (req.body === '') res.send(200);
      else res.send(200, { body: SDP, headers: { 'Content-Type': 'application/sdp' } } as object);
    });
    dialog?.on('message' as 'info', (_req, res) => {
      res.send(405);
    });
    dialog?.on('notify' as 'info', (_req, res) => {
      res.send(481);
    });
    dialog?.on('refer' as 'info', (_req, res) => {
      res.send(405);
    });
  };
  srf.invite((req, res) => {
    const user = /^[a-z]+:([a-z]+)@/i.exec(req.uri)?.[1] ?? 'busy';
    void (doings[user] ?? doings['busy']!)(req, res, res as unknown as Responder);
  });
  srf.use('options', (_req, res) => {
    res.send(200, { headers: { Allow: 'INVITE', Accept: 'application/sdp' } });
  });
  srf.use('message', (_req, res) => {
    res.send(405);
  });
  srf.on('error', () => undefined);
  (srf as unknown as SrfClient).connect(server);
  const [error] = (await once(srf, 'connect')) as [Error | null];
  if (error !== null) throw error;
  // The routes are on their way on this connection; SIP comes over another.
  await wait(100);
  return srf;
}
