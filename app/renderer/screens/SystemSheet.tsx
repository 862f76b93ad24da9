import { Button } from '../parts/Button.tsx';
import { Sheet } from '../parts/Sheet.tsx';
import { useText } from '../parts/useText.ts';
import { useStore } from '../store.ts';

export function SystemSheet() {
  const { t } = useText();
  const close = () => useStore.setState({ sheet: null });
  return (
    <Sheet
      alert
      title={t('disks.systemTitle')}
      onClose={close}
      actions={
        <>
          <Button autoFocus onPress={close}>
            {t('common.cancel')}
          </Button>
          <Button look="danger" onPress={() => useStore.setState({ sheet: null, showSystem: true })}>
            {t('disks.systemYes')}
          </Button>
        </>
      }
    >
      <p>{t('disks.systemText')}</p>
    </Sheet>
  );
}
