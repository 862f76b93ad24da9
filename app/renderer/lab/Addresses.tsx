import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { shownText } from '../../../shared/lab/shown.ts';
import { normalMac } from '../../../shared/machine/mac.ts';
import { CrossIcon } from '../icons.tsx';
import { Button, IconButton } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Asked } from './parts/Asked.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Time } from './parts/Time.tsx';
import { useLab } from './store.ts';

/** Rows that are shown at first, and with each "more". */
const page = 100;

/** Addresses that are leased, and those that belong to one machine each. */
export function Addresses() {
  const { t } = useTranslation();
  const operates = useLab(({ scope }) => scope !== 'read');
  const [reserving, setReserving] = useState(false);
  const [shown, setShown] = useState(page);
  const [reserved, setReserved] = useState(page);
  const { value: book } = useAnswer('leases', () => ask('GET /dhcp/leases'), ['lease']);
  const leases = book?.leases ?? [];
  const reservations = book?.reservations ?? [];
  const remove = (work: () => Promise<unknown>) =>
    attempt(async () => {
      await work();
      askAgain('leases');
    });
  return (
    <>
      <Card title={t('lab.boot.leases')}>
        {leases.length === 0 ? <p className="quiet">{t('lab.boot.noLeases')}</p> : null}
        {leases.length === 0 ? null : (
          <div className="table-frame">
            <table className="table cards">
              <thead>
                <tr>
                  <th scope="col">{t('lab.boot.address')}</th>
                  <th scope="col">{t('lab.machines.mac')}</th>
                  <th scope="col">{t('lab.common.state')}</th>
                  <th scope="col">{t('lab.boot.expires')}</th>
                  <th scope="col">{t('lab.images.actions')}</th>
                </tr>
              </thead>
              <tbody>
                {leases.slice(0, shown).map(({ address, mac, hostName, state, expires }) => (
                  <tr key={address}>
                    <td>
                      <strong>{address}</strong>
                    </td>
                    <td data-name={t('lab.machines.mac')}>
                      <span className="mono">{mac}</span> {shownText(hostName ?? '')}
                    </td>
                    <td data-name={t('lab.common.state')}>{t(`lab.boot.leaseStates.${state}`)}</td>
                    <td data-name={t('lab.boot.expires')}>
                      {/* What was ended is kept for the machine that had it, without an end. */}
                      <Time
                        at={expires > 0 ? expires : null}
                        style="short"
                        otherwise={t('lab.common.none')}
                      />
                    </td>
                    <td>
                      {operates && state !== 'released' ? (
                        <Asked
                          title={t('lab.boot.forgetTitle', { address })}
                          text={t('lab.boot.forgetText', { mac: mac ?? t('lab.common.unknown') })}
                          act={t('lab.settings.end')}
                          onAct={() =>
                            remove(() => ask('DELETE /dhcp/leases/{address}', { params: { address } }))
                          }
                        >
                          {(open) => (
                            <IconButton
                              label={t('lab.boot.forget', { address })}
                              icon={<CrossIcon size={14} />}
                              onPress={open}
                            />
                          )}
                        </Asked>
                      ) : null}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {leases.length > shown ? (
          <Button onPress={() => setShown(shown + page)}>{t('lab.common.more')}</Button>
        ) : null}
      </Card>
      <Card
        title={t('lab.boot.reservations')}
        actions={
          operates ? <Button onPress={() => setReserving(true)}>{t('lab.boot.reserve')}</Button> : null
        }
      >
        {reservations.length === 0 ? <p className="quiet">{t('lab.boot.noReservations')}</p> : null}
        <ul className="parts">
          {reservations.slice(0, reserved).map(({ mac, address, hostName }) => (
            <li key={mac} className="part">
              <div className="part-words">
                <strong>{address}</strong> <span className="mono">{mac}</span> {shownText(hostName ?? '')}
              </div>
              {operates ? (
                <Asked
                  title={t('lab.boot.unreserveTitle', { mac })}
                  text={t('lab.boot.unreserveText', { address })}
                  act={t('lab.settings.end')}
                  onAct={() => remove(() => ask('DELETE /dhcp/reservations/{mac}', { params: { mac } }))}
                >
                  {(open) => (
                    <IconButton
                      label={t('lab.boot.unreserve', { mac })}
                      icon={<CrossIcon size={14} />}
                      onPress={open}
                    />
                  )}
                </Asked>
              ) : null}
            </li>
          ))}
        </ul>
        {reservations.length > reserved ? (
          <Button onPress={() => setReserved(reserved + page)}>{t('lab.common.more')}</Button>
        ) : null}
        {reserving ? <Reserve onClose={() => setReserving(false)} /> : null}
      </Card>
    </>
  );
}

function Reserve({ onClose }: { readonly onClose: () => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const [address, setAddress] = useState('');
  const [name, setName] = useState('');
  const mac = normalMac(text.trim());
  const reserve = () =>
    attempt(async () => {
      const hostName = name.trim() === '' ? {} : { hostName: name.trim() };
      await ask('PUT /dhcp/reservations/{mac}', {
        params: { mac: mac ?? '' },
        body: { address: address.trim(), ...hostName },
      });
      askAgain('leases');
    });
  return (
    <Confirm
      title={t('lab.boot.reserveTitle')}
      act={t('lab.boot.reserve').replace('…', '')}
      isReady={mac !== null && /^\d{1,3}(\.\d{1,3}){3}$/.test(address.trim())}
      onAct={reserve}
      onClose={onClose}
    >
      <Field
        label={t('lab.machines.addMac')}
        placeholder={t('lab.machines.addMacHint')}
        value={text}
        onChange={setText}
        autoFocus
      />
      <Field label={t('lab.boot.address')} value={address} onChange={setAddress} />
      <Field label={t('lab.machines.addName')} value={name} onChange={setName} />
    </Confirm>
  );
}
