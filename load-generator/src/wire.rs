//! A TCP stream that knows when its bytes arrived.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that knows when its last bytes arrived and when its first ones left.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    kernel: kernel::Clock,
    arrived: Instant,
    sent: Option<Instant>,
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let kernel = kernel::Clock::new(&tcp);
        Ok(Self {
            tcp,
            kernel,
            arrived: Instant::now(),
            sent: None,
        })
    }

    /// When the bytes that were read last had arrived.
    pub(crate) const fn arrived(&self) -> Instant {
        self.arrived
    }

    /// When the first bytes since [`Self::forget_sending`] were handed to the kernel.
    pub(crate) const fn sent(&self) -> Option<Instant> {
        self.sent
    }

    pub(crate) const fn forget_sending(&mut self) {
        self.sent = None;
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            // It does not last: whatever is sent switches the kernel back to delayed acknowledgements.
            acknowledge_at_once(&this.tcp);
            ready!(this.tcp.poll_read_ready(context))?;
            let kernel = &mut this.kernel;
            let tcp = &this.tcp;
            let room = buffer.initialize_unfilled();
            match tcp.try_io(Interest::READABLE, || kernel.receive(tcp, room)) {
                Ok((length, arrived)) => {
                    buffer.advance(length);
                    this.arrived = arrived;
                    acknowledge_at_once(&this.tcp);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sent.get_or_insert_with(Instant::now);
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

/// Asks the kernel to acknowledge what arrives without waiting for something to send.
fn acknowledge_at_once(tcp: &TcpStream) {
    #[cfg(target_os = "linux")]
    // A connection that is gone tells so when it is read.
    let _gone = SockRef::from(tcp).set_tcp_quickack(true);
    #[cfg(not(target_os = "linux"))]
    let _ = SockRef::from(tcp);
}

#[cfg(target_os = "linux")]
mod kernel {
    //! The kernel's own time of arrival.

    use std::io::{self, IoSliceMut};
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant, SystemTime};

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
    use nix::sys::time::TimeSpec;
    use tokio::net::TcpStream;

    /// A stamp that is older than this is none of ours: the clock of the machine was set.
    const OLDEST: Duration = Duration::from_secs(10);

    /// Reads bytes with their time of arrival.
    #[derive(Debug)]
    pub(super) struct Clock {
        ancillary: Vec<u8>,
    }

    impl Clock {
        pub(super) fn new(tcp: &TcpStream) -> Self {
            // Without stamps the time of the read stands in.
            let _unstamped = setsockopt(tcp, sockopt::ReceiveTimestampns, &true);
            Self {
                ancillary: nix::cmsg_space!(TimeSpec),
            }
        }

        /// Reads what is there, without waiting.
        pub(super) fn receive(&mut self, tcp: &TcpStream, room: &mut [u8]) -> io::Result<(usize, Instant)> {
            let mut rooms = [IoSliceMut::new(room)];
            let message = recvmsg::<()>(
                tcp.as_raw_fd(),
                &mut rooms,
                Some(&mut self.ancillary),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let now = Instant::now();
            let stamp = message.cmsgs().ok().and_then(|mut messages| {
                messages.find_map(|message| {
                    if let ControlMessageOwned::ScmTimestampns(stamp) = message {
                        Some(stamp)
                    } else {
                        None
                    }
                })
            });
            // The stamp is on the clock that can be set, so only its age is taken over.
            let age = stamp.and_then(|stamp| {
                let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
                since_epoch.checked_sub(Duration::from(stamp))
            });
            let arrived = age
                .filter(|age| *age < OLDEST)
                .and_then(|age| now.checked_sub(age))
                .unwrap_or(now);
            Ok((message.bytes, arrived))
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    //! Without the kernel's help the time of the read is the time of arrival.

    use std::io;
    use std::time::Instant;

    use tokio::net::TcpStream;

    /// Reads bytes with the time of the read.
    #[derive(Debug)]
    pub(super) struct Clock;

    impl Clock {
        pub(super) const fn new(_: &TcpStream) -> Self {
            Self
        }

        /// Reads what is there, without waiting.
        pub(super) fn receive(&mut self, tcp: &TcpStream, room: &mut [u8]) -> io::Result<(usize, Instant)> {
            let length = tcp.try_read(room)?;
            Ok((length, Instant::now()))
        }
    }
}
