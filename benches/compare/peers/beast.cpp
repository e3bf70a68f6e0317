// Boost.Beast, asynchronous, one thread, like its example of an asynchronous server.
// Argument: --broadcast.
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <set>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;

class Session;
static bool broadcast = false;
static std::set<Session *> everyone;

class Session : public std::enable_shared_from_this<Session> {
  websocket::stream<tcp::socket> stream_;
  beast::flat_buffer buffer_;
  std::deque<std::shared_ptr<std::string>> queue_;

public:
  explicit Session(tcp::socket socket) : stream_(std::move(socket)) {}
  ~Session() { everyone.erase(this); }

  void start() {
    stream_.auto_fragment(false);
    stream_.read_message_max(16 << 20);
    stream_.async_accept([self = shared_from_this()](beast::error_code error) {
      if (error) return;
      everyone.insert(self.get());
      self->read();
    });
  }

private:
  void read() {
    stream_.async_read(buffer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return;
      if (broadcast) self->share();
      else self->echo();
    });
  }

  void echo() {
    stream_.text(stream_.got_text());
    stream_.async_write(buffer_.data(), [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return;
      self->buffer_.consume(self->buffer_.size());
      self->read();
    });
  }

  void share() {
    auto message = std::make_shared<std::string>(beast::buffers_to_string(buffer_.data()));
    buffer_.consume(buffer_.size());
    for (Session *session : everyone) session->say(message);
    read();
  }

  void say(std::shared_ptr<std::string> message) {
    queue_.push_back(std::move(message));
    if (queue_.size() == 1) write();
  }

  void write() {
    stream_.binary(true);
    stream_.async_write(asio::buffer(*queue_.front()),
                        [self = shared_from_this()](beast::error_code error, std::size_t) {
                          if (error) return;
                          self->queue_.pop_front();
                          if (!self->queue_.empty()) self->write();
                        });
  }
};

static void accept(tcp::acceptor &acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true), error);
      std::make_shared<Session>(std::move(socket))->start();
    }
    accept(acceptor);
  });
}

int main(int count, char **arguments) {
  broadcast = count > 1 && std::strcmp(arguments[1], "--broadcast") == 0;
  asio::io_context context{1};
  tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), 0}};
  std::cout << acceptor.local_endpoint().port() << std::endl;
  accept(acceptor);
  context.run();
}
