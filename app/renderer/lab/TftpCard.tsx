import type { TftpState } from '../../../shared/contract/dhcp.ts';
import { CheckIcon, WarnIcon } from '../icons.tsx';
import { useText } from '../parts/useText.ts';
import { useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Card, Facts } from './parts/Page.tsx';
import { toldHere } from './words.ts';

/** Where TFTP serves, what it sent, and what is in its way. */
export function TftpCard() {
  const { t } = useText();
  const { value } = useAnswer('tftp', () => ask('GET /tftp'), ['boot-step', 'notice']);
  return (
    <Card title={t('lab.tftp.title')}>
      <p className="quiet">{t('lab.tftp.hint')}</p>
      {value === undefined ? null : (
        <>
          {value.enabled ? null : <p>{t('lab.tftp.off')}</p>}
          {value.enabled && value.servers.length === 0 ? <p>{t('lab.tftp.none')}</p> : null}
          <ul className="parts">
            {value.servers.map((state) => (
              <TftpServer key={`${state.interface} ${state.address}`} state={state} />
            ))}
          </ul>
        </>
      )}
    </Card>
  );
}

const usual = ['running', 'done'] as const;
/** Told only where there were some. */
const rare = ['failed', 'refused', 'probes', 'busy', 'foreign', 'malformed'] as const;

function TftpServer({ state }: { readonly state: TftpState }) {
  const { t, bytes, i18n } = useText();
  const { problem, code, advice, details, address, port } = state;
  const told =
    problem === null
      ? null
      : toldHere(i18n.language, { code, message: problem, advice: advice ?? '', details });
  const counted = [...usual, ...rare.filter((name) => state[name] > 0)];
  return (
    <li className="interface">
      <div className="interface-top">
        {told === null ? <CheckIcon size={18} /> : <WarnIcon size={18} />}
        <strong>{state.interface}</strong>
        <span className="mono">{port === null ? address : `${address}:${port}`}</span>
        <span className={told === null ? 'badge badge-done' : 'badge badge-bad'}>
          {told === null ? t('lab.boot.serves') : t('lab.boot.servesNot')}
        </span>
      </div>
      {told === null ? (
        <Facts
          facts={[
            ...counted.map((name) => ({ name: t(`lab.tftp.${name}`), value: state[name] })),
            { name: t('lab.tftp.bytes'), value: bytes(state.bytes) },
          ]}
        />
      ) : (
        <p className="problem">
          {told.message} {told.advice}
        </p>
      )}
    </li>
  );
}
